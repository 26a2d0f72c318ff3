"""Networks whose outputs are rows of another's: differences of outputs, and others."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.convert import converted
from relulens.graph.maps import AlongAxis, Identity, Reshape, composed
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Term


def with_rows(network: Network, rows: Float[Tensor, "rows q"]) -> Network:
    """Return the network with rows of its flattened output as output, float64.

    The rows are folded into an affine last node, so that differences of its outputs
    are bounded as one sum and not each part by itself.

    Args:
        network: The network.
        rows: Weights of the outputs.
    """
    wide = converted(network)
    last = wide.nodes[wide.output]
    size = wide.output_size
    rows = rows.to(wide.device, torch.float64)
    tail = (Reshape(last.shape, (size,)), AlongAxis(rows, (size,), 0))
    nodes = list(wide.nodes)
    terms: tuple[Term, ...] = (Term(wide.output, Identity(last.shape)),)
    if isinstance(last, Affine):
        terms = last.terms
        if last.bias is not None:
            # The constant is a node of its own, so that nothing is rounded here.
            alone = replace(last, terms=(), bias=last.bias.expand(last.shape))
            terms = (*terms, Term(len(nodes), Identity(last.shape)))
            nodes.append(alone)
    joint = Affine(
        name="rows of the output",
        shape=(rows.shape[0],),
        terms=tuple(Term(t.source, composed(t.map, *tail)) for t in terms),
    )
    return replace(wide, nodes=(*nodes, joint), output=len(nodes))


def differences(size: int, label: int) -> Float[Tensor, "others q"]:
    """Return the rows that give one output minus each other one, in order."""
    eye = torch.eye(size, dtype=torch.float64)
    return eye[label] - eye[torch.arange(size) != label]

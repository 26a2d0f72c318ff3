"""What a question's variable is, and what it is known to satisfy."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relulens.certificates.reading import leaves_of
from relulens.certificates.statement import Limits
from relulens.certificates.target import Target
from relulens.errors import InvalidArgumentError
from relulens.graph.arrays import tensor_of
from relulens.graph.domain import Box
from relulens.graph.network import Network
from relulens.graph.polyhedral import polyhedral, source_name
from relulens.local.polytope import Polytope


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Variable:
    """What a pre-image lives in.

    Attributes:
        name: ``"input"``, or the layers whose features are read, joined by commas.
        leaves: Nodes whose values are concatenated.
        size: Number of coordinates.
    """

    name: str
    leaves: tuple[int, ...]
    size: int


def variable_of(
    network: Network, target: Target, scope: str | None
) -> tuple[str, Variable]:
    """Return the scope that is meant and the variable it implies.

    Raises:
        InvalidArgumentError: The scope is unknown, or needed and missing.
        NotPolyhedralError: The input or a region's map is asked for, and a node before
            the layer is not piecewise affine.
    """
    leaves = leaves_of(network, target.argument)
    reads = ", ".join(
        "input" if leaf == 0 else source_name(network, leaf) for leaf in leaves
    )
    if scope is None and leaves != (0,):
        polyhedral(
            network,
            target.argument,
            question="the pre-image in the input (scope='layer' asks about what the"
            " layer itself reads)",
        )
        raise InvalidArgumentError(
            f"cannot choose what the pre-image of layer {target.name!r} lives in: it"
            f" reads {reads}, and not the input alone. Pass scope='layer' for what it"
            " reads, or scope='region' for the input on x's region."
        )
    if scope not in {None, "layer", "region", "network"}:
        raise InvalidArgumentError(
            f"cannot use scope {scope!r}: it is none of 'layer', 'region' and"
            " 'network'. Pass one of these."
        )
    if scope in {None, "layer"} or leaves == (0,):
        size = sum(int(np.prod(network.nodes[leaf].shape)) for leaf in leaves)
        return "layer", Variable(name=reads, leaves=leaves, size=size)
    polyhedral(network, target.argument, question="the pre-image on a region")
    size = network.input_size
    return str(scope), Variable(name="input", leaves=(0,), size=size)


def limits_of(network: Network, variable: Variable, domain: object) -> Limits | None:
    """Return what the variable is known to satisfy; the network's domain by default.

    Raises:
        InvalidArgumentError: A box or region is given where the variable is not the
            input, or a polytope has another number of columns.
        MemoryLimitError: A region's rows are too large.
    """
    if domain is None:
        if network.domain is None or variable.leaves != (0,):
            return None
        return _box(network.domain, network)
    if isinstance(domain, Box | Polytope) and variable.leaves != (0,):
        what = "box" if isinstance(domain, Box) else "region"
        raise InvalidArgumentError(
            f"cannot apply a {what} to {variable.name}: it bounds the input, and the"
            f" variable here has {variable.size} coordinates of other layers. Pass"
            " scope='region', or a polytope (A, b) on that variable."
        )
    if isinstance(domain, Box):
        return _box(domain, network)
    if isinstance(domain, Polytope):
        said = ~domain.constant.cpu()
        rows = domain.A.to_dense().cpu()[said]
        return _polytope(variable, (rows, domain.b.cpu()[said]))
    return _polytope(variable, domain)


def _box(box: Box, network: Network) -> Limits:
    try:
        low = box.low.to(torch.float64).cpu().expand(network.input_shape)
        high = box.high.to(torch.float64).cpu().expand(network.input_shape)
    except RuntimeError as error:
        raise InvalidArgumentError(
            f"cannot use {box!r} as a domain: its bounds are {list(box.low.shape)} and"
            f" the input {list(network.input_shape)}. Pass numbers, or arrays of the"
            " input's shape."
        ) from error
    return Limits(low=low.reshape(-1).clone(), high=high.reshape(-1).clone())


def _polytope(variable: Variable, domain: object) -> Limits:
    match domain:
        case (rows, bounds):
            matrix = _float(rows, subject="the domain's A")
            right = _float(bounds, subject="the domain's b")
        case _:
            raise InvalidArgumentError(
                f"cannot use a {type(domain).__name__} as a domain: a Box, a pair"
                " (A, b) for A v <= b, or 1 of the regions that region_polytope returns"
                " is needed. Pass one of these."
            )
    if matrix.ndim != 2 or right.shape != matrix.shape[:1]:
        raise InvalidArgumentError(
            f"cannot use a polytope as a domain: A is {list(matrix.shape)} and b"
            f" {list(right.shape)}. Pass A [rows, {variable.size}] and b [rows]."
        )
    if matrix.shape[1] != variable.size:
        raise InvalidArgumentError(
            f"cannot use a polytope as a domain: A has {matrix.shape[1]} columns, and"
            f" {variable.name} has {variable.size} coordinates. Pass one a coordinate."
        )
    if not bool(torch.isfinite(matrix).all() & torch.isfinite(right).all()):
        raise InvalidArgumentError(
            "cannot use a polytope as a domain: 1 or more of its numbers are NaN or"
            " infinite. Leave out such rows."
        )
    return Limits(rows=matrix, bounds=right)


def _float(values: object, *, subject: str) -> Tensor:
    return tensor_of(values, subject=subject).cpu().to(torch.float64)

"""Decisions as margins: rows of the output that are positive while the label holds."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.arrays import tensor_of
from relulens.graph.freeze import node_values
from relulens.graph.network import Network


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Decision:
    """What one input is classified as, and what would change it.

    Attributes:
        label: The class; 0 or 1 for a single output, 1 where it is positive.
        rows: Weights [k, out] of the output; the label holds while all are positive.
    """

    label: int
    rows: Float[Tensor, "k out"]

    def margins(
        self, network: Network, x: Float[Tensor, "batch ..."]
    ) -> Float[Tensor, " batch"]:
        """Return the smallest margin [N] at inputs."""
        value = node_values(network, x, [network.output])[network.output]
        return (value.reshape(x.shape[0], -1) @ self.rows.T).amin(1)


def predicted(network: Network, x: Float[Tensor, "batch ..."]) -> Tensor:
    """Return the classes [N]: the first largest output, or whether one is positive."""
    value = node_values(network, x, [network.output])[network.output]
    flat = value.reshape(x.shape[0], network.output_size)
    if network.output_size == 1:
        return (flat[:, 0] > 0).to(torch.int64)
    return flat.argmax(1)


def decision(network: Network, label: int) -> Decision:
    """Return the margins of a label over all other classes."""
    size = network.output_size
    like = {"dtype": torch.float64, "device": network.device}
    if size == 1:
        sign = 1.0 if label == 1 else -1.0
        return Decision(label=label, rows=torch.full((1, 1), sign, **like))
    eye = torch.eye(size, **like)
    others = [i for i in range(size) if i != label]
    return Decision(label=label, rows=eye[label] - eye[others])


def checked_labels(network: Network, labels: object, count: int) -> Tensor:
    """Return labels [N] as given.

    Raises:
        InvalidArgumentError: They are not N classes of the network.
    """
    classes = max(2, network.output_size)
    found = tensor_of(labels, subject="labels")
    whole = not (found.is_floating_point() or found.dtype == torch.bool)
    fits = whole and tuple(found.shape) == (count,)
    if not fits or bool((found < 0).any() | (found >= classes).any()):
        raise InvalidArgumentError(
            f"cannot use the labels of shape {list(found.shape)}: {count} whole numbers"
            f" from 0 to {classes - 1} are needed, one an input. Leave them out to use"
            " the network's own decisions."
        )
    return found.to(torch.int64)

"""Domains of an enumeration as half-spaces, and the cells to start from."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.graph.domain import Box
from relulens.graph.network import Network
from relulens.local.polytope import Polytope
from relulens.regions.start import Start, box_start, polyhedron_start

LARGEST_BOX = 12
"""Dimensions up to which a box starts with all its corners."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class HalfSpaces:
    """The set ``{x : rows x <= right}``.

    Attributes:
        rows: Left-hand sides [m, n].
        right: Right-hand sides [m].
        box: Lowest and highest values, if it is a box.
    """

    rows: NDArray[np.float64]
    right: NDArray[np.float64]
    box: tuple[NDArray[np.float64], NDArray[np.float64]] | None

    def start(self) -> Start:
        """Return the cells to start from."""
        if self.box is not None and np.isfinite(np.concatenate(self.box)).all():
            return box_start(*self.box)
        return polyhedron_start(self.rows, self.right)


def half_spaces(
    network: Network, domain: Box | Polytope | None, *, question: str
) -> HalfSpaces:
    """Return a domain as half-spaces.

    Args:
        network: The network whose inputs the domain holds.
        domain: A box, whose sides may be infinite; a polytope; or nothing for the
            network's own domain, else the whole space.
        question: What is asked, for messages.

    Raises:
        InvalidArgumentError: The domain has no interior, or is of another shape.
        NotFiniteError: A row or bound of the polytope is NaN or infinite.
    """
    if domain is None:
        domain = network.domain or Box(-torch.inf, torch.inf)
    if isinstance(domain, Box):
        return _of_box(network, domain, question)
    if domain.A.in_shape != network.input_shape:
        raise InvalidArgumentError(
            f"cannot answer {question}: the polytope lies in {list(domain.A.in_shape)}"
            f" and the network reads {list(network.input_shape)}. Pass one in the"
            " network's input space."
        )
    rows = domain.A.to_dense().to("cpu", torch.float64).numpy()
    right = domain.b.to("cpu", torch.float64).numpy()
    if not (np.isfinite(rows).all() and np.isfinite(right).all()):
        raise NotFiniteError(
            f"cannot answer {question}: of the polytope's {len(right)} inequalities"
            " some hold NaN or infinite numbers. Remove those rows."
        )
    said = np.abs(rows).max(axis=1, initial=0.0) > 0
    if bool((right[~said] < 0).any()):
        raise InvalidArgumentError(
            f"cannot answer {question}: the polytope is empty, as 0 <="
            f" {right[~said].min():g} is one of its inequalities. Pass another domain."
        )
    return HalfSpaces(rows=rows[said], right=right[said], box=None)


def _of_box(network: Network, box: Box, question: str) -> HalfSpaces:
    shape = network.input_shape
    for bound in (box.low, box.high):
        if bound.numel() != 1 and tuple(bound.shape) != shape:
            raise InvalidArgumentError(
                f"cannot answer {question}: the box has shape {list(bound.shape)} and"
                f" the network reads {list(shape)}. Pass numbers or that shape."
            )
    low, high = (
        np.ascontiguousarray(bound.expand(shape).flatten().cpu().numpy())
        for bound in (box.low, box.high)
    )
    flat = int((low == high).sum())
    if flat:
        raise InvalidArgumentError(
            f"cannot answer {question}: {flat} of the box' {len(low)} sides have length"
            " 0, and regions are counted by their interior. Widen them, or fix those"
            " inputs in the network."
        )
    unit = np.eye(len(low))
    both = np.stack([-unit, unit], axis=1).reshape(-1, len(low))
    right = np.stack([-low, high], axis=1).reshape(-1)
    finite = np.isfinite(right)
    return HalfSpaces(rows=both[finite], right=right[finite], box=(low, high))

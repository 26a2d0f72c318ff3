"""Whether crossing a face changes the affine map of the network's output."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relulens.graph.freeze import Frozen, freeze
from relulens.graph.tangent import tangent
from relulens.local.jacobian import flat_rows

CHANGE = 1e-10
"""A slope counts as changed by more than this times the largest row of the slope."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Crossing:
    """What happens along the normals of some faces of one sample's region.

    Attributes:
        beyond: Whether the output's slope just beyond the face is another one.
        before: Whether it is another one already just before the face.
    """

    beyond: Bool[Tensor, " faces"]
    before: Bool[Tensor, " faces"]


def crossing(
    one: Frozen,
    end: int,
    normals: Float[Tensor, "faces inputs"],
    distances: Float[Tensor, " faces"],
    blur: Float[Tensor, " faces"],
    largest: float,
) -> Crossing:
    """Return whether the output's affine map changes at faces.

    On a face both affine maps agree, so they differ if and only if they do along the
    normal; two points and one direction decide it.

    Args:
        one: The network, frozen at one sample, up to ``end``.
        end: Index of the output's node.
        normals: Unit vectors from the sample towards the faces.
        distances: How far the faces are.
        blur: How far off a face rounding may place it.
        largest: Largest norm of a row of the output's slope at the sample.

    Cost:
        Three forward passes for all faces together.
    """
    network = one.network
    # Far enough to be past rounding, which is not seen where all terms are zero.
    least = 1e-12 * (float(one.x.abs().max()) or 1.0)
    step = 8 * blur + 1e-9 * distances + least
    count = len(distances)
    shaped = normals.reshape(count, *network.input_shape)
    here = flat_rows(tangent(one, shaped, end=end))
    changed: list[Tensor] = []
    for sign in (1.0, -1.0):
        length = (distances + sign * step).reshape(-1, *[1] * len(network.input_shape))
        points = one.x + length * shaped
        beyond = freeze(network, points, end)
        there = flat_rows(tangent(beyond, shaped, end=end))
        size = torch.maximum(here.abs().amax(1), there.abs().amax(1))
        threshold = CHANGE * torch.clamp(size, min=largest)
        changed.append((there - here).abs().amax(1) > threshold)
    return Crossing(beyond=changed[0], before=changed[1])

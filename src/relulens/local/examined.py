"""Faces of one sample decided one by one, in float64."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.freeze import Frozen
from relulens.graph.tangent import adjoint_walk
from relulens.local.crossing import crossing
from relulens.local.faces import Faces, face_rows, joined
from relulens.local.jacobian import pull
from relulens.local.search import Search

SAME = 4e-9
"""Relative difference below which two distances or normals are the same."""


@dataclass(slots=True, eq=False)
class Examined:
    """Faces decided so far.

    Attributes:
        faces: The faces.
        distance: How far each is; infinite where nothing varies.
        normal: Unit vectors from the sample towards them.
        norm: Norms of their rows, in float64.
        counts: Whether each counts, as far as that was needed.
    """

    faces: Faces
    distance: Tensor
    normal: Tensor
    norm: Tensor
    counts: Tensor

    @property
    def best(self) -> float:
        """Distance of the nearest face that counts, or infinity."""
        chosen = self.distance[self.counts]
        return float(chosen.min()) if chosen.numel() else torch.inf


def gains(search: Search, one: Frozen, listed: Faces) -> Float[Tensor, " faces"]:
    """Return what reaches the output of each face's unit, in a random direction.

    With all other operations frozen, so what ties would pass on is left out.
    """
    network = search.network
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(network.output_shape, generator=generator, dtype=torch.float64)
    found: dict[int, Tensor] = {}

    def visit(index: int, weights: Tensor) -> None:
        if index in search.arguments:
            found[index] = weights.flatten().clone()

    adjoint_walk(one, {network.output: drawn[None].to(one.x.device)}, visit=visit)
    gain = torch.zeros(len(listed), dtype=torch.float64, device=one.x.device)
    for index, values in found.items():
        mine = listed.node == index
        gain[mine] = values[listed.unit[mine]]
    return gain


def block_length(search: Search) -> int:
    """Return how many faces to look at first: fewer where a pass costs more."""
    return max(2, min(16, 1_000_000 // max(search.network.state_size, 1)))


def nothing_examined(one: Frozen) -> Examined:
    """Return no faces, for a start."""
    width = one.network.input_size
    none = torch.zeros(0, dtype=torch.float64, device=one.x.device)
    return Examined(
        faces=joined([]),
        distance=none,
        normal=none.reshape(0, width),
        norm=none,
        counts=none > 0,
    )


def examine(
    search: Search, one: Frozen, block: Faces, gain: Tensor, done: Examined
) -> None:
    """Decide a block of faces in float64 and add them to what is done."""
    tol = search.tolerances
    rows = face_rows(one, block)
    norm = rows.norm(dim=1)
    varies = norm > tol.row * block.norm
    size = block.value.abs()
    size = torch.where(size <= tol.sign * block.scale, 0.0, size)
    distance = torch.where(varies, size / norm, torch.inf)
    # Towards the face: down for what is positive (a winner's lead always counts so).
    leads = (block.value > 0) | (block.minus >= 0)
    towards = torch.where(leads, -1.0, 1.0)[:, None]
    normal = towards * rows / torch.where(varies, norm, 1.0)[:, None]
    counts = torch.isfinite(distance)
    if search.effective:
        blur = torch.where(varies, tol.sign * block.scale / norm, 0.0)
        known = (gain != 0) & counts & _alone(distance)
        best = min(done.best, float(torch.where(known, distance, torch.inf).amin()))
        open_ = counts & ~known & (distance < best)
        counts = known.clone()
        counts[open_] = _effective(
            search, one, normal[open_], distance[open_], blur[open_]
        )
    done.faces = joined([done.faces, block])
    done.distance = torch.cat([done.distance, distance])
    done.normal = torch.cat([done.normal, normal])
    done.norm = torch.cat([done.norm, norm])
    done.counts = torch.cat([done.counts, counts])


def _alone(distance: Tensor) -> Tensor:
    """Tell which faces cannot share their hyperplane with another of the block.

    What several units on one hyperplane do to the output may cancel.
    """
    ordered, order = distance.sort()
    apart = ordered[1:] - ordered[:-1] > SAME * ordered[1:]
    edge = torch.ones(1, dtype=torch.bool, device=distance.device)
    alone = torch.cat([edge, apart]) & torch.cat([apart, edge])
    result = torch.zeros_like(alone)
    result[order] = alone
    return result


def _effective(
    search: Search, one: Frozen, normal: Tensor, distance: Tensor, blur: Tensor
) -> Tensor:
    """Tell which faces change the output's map, nearest first, up to the first one."""
    counts = torch.zeros_like(distance, dtype=torch.bool)
    order = distance.argsort()
    network = search.network
    largest = _largest_row(one, network.output) if len(order) else 0.0
    step = max(1, min(64, 1_000_000 // max(network.state_size, 1)))
    for low in range(0, len(order), step):
        some = order[low : low + step]
        found = crossing(
            one, network.output, normal[some], distance[some], blur[some], largest
        )
        counts[some] = found.beyond
        if bool(found.beyond.any()):
            # Those further off that share the hyperplane are told by their normals.
            break
    return counts


def _largest_row(one: Frozen, end: int) -> float:
    size = one.network.output_size
    if size > 64:
        return 0.0
    unit = torch.eye(size, dtype=torch.float64, device=one.x.device)[None]
    rows = pull(one, unit, 0, end)
    return float(rows.norm(dim=1).max()) if rows.numel() else 0.0

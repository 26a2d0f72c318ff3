"""All linear regions of a network over a domain."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from relulens.errors import InvalidArgumentError, SolverError
from relulens.graph.convert import converted
from relulens.graph.domain import Box
from relulens.graph.network import Network
from relulens.graph.polyhedral import Polyhedral, polyhedral, source_name
from relulens.local.polytope import Polytope
from relulens.numerics.kernels import cells as kernel
from relulens.regions.complex import Complex, started
from relulens.regions.exact import ExactValues
from relulens.regions.half_spaces import HalfSpaces, half_spaces
from relulens.regions.linear_regions import LinearRegions
from relulens.regions.program_walk import Listed, listed
from relulens.regions.region_codes import distinct, layer_codes, same_rows
from relulens.regions.sweep import Sweep

BUDGET = 5_000_000
"""Default for the most regions."""

LARGEST = 10
"""Most inputs for vertices; those of one cell grow like 2 to this power."""

SMALL = 6
"""Inputs up to which vertices are listed unless asked otherwise."""

Method = Literal["vertices", "programs"]


def linear_regions(
    network: Network,
    domain: Box | Polytope | None = None,
    /,
    *,
    layers: int | str | None = None,
    budget: int | None = None,
    method: Method | None = None,
) -> LinearRegions:
    """Return every linear region that meets the interior of a domain.

    With few inputs cells are cut by one unit after another, on their vertices and
    edges; signs that rounding leaves open are decided in whole numbers, so arrangements
    where many faces meet or coincide come out right :cite:p:`balestriero2018spline`.
    With more inputs regions are split depth first by linear programs; each comes with a
    point that is inside it beyond rounding, and without its vertices.

    Args:
        network: A network that is piecewise affine up to the layer, of few inputs.
        domain: A box, whose sides may be infinite; a polytope, as ``region_polytope``
            gives; the network's own domain by default, else the whole space.
        layers: Take the layers up to this one; all of them by default.
        budget: Most cells; beyond it the result is partial and says so.
        method: ``"vertices"`` for cells with their vertices, volumes and neighbours;
            ``"programs"`` for codes and points alone, on bounded domains; by default
            vertices up to 6 inputs, and up to 10 on a box with infinite sides.

    Returns:
        The regions; a unit is on in a region if its argument is positive inside it.

    Raises:
        InvalidArgumentError: The domain is empty or flat, the network has too many
            inputs for vertices, or the domain is unbounded and programs are asked for.
        NotPolyhedralError: A node is not piecewise affine; all are named.
        UnknownNameError: No layer has this name.

    Cost:
        About 2 to 30 microseconds a region by vertices, more with the dimension: one
        has ``2**inputs`` vertices or more. By programs 5 to 50 microseconds.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> unit = [[1.0, 0.0], [0.0, 1.0]]
        >>> network = from_layers([(unit, None), ([[1.0, 1.0]], None)])
        >>> linear_regions(network, Box(-1, 1)).count
        4
    """
    end = network.find(layers)
    polyhedral(network, end, question="linear_regions")
    space = half_spaces(network, domain, question="linear_regions")
    chosen = _chosen(network, space, method)
    most = BUDGET if budget is None else budget
    if most < 1:
        raise InvalidArgumentError(
            f"cannot enumerate regions: the budget is {most}, and 1 is the least. Raise"
            " it."
        )
    exact = converted(network.with_output(end), torch.float64, torch.device("cpu"))
    region = polyhedral(exact, end)
    if chosen == "programs":
        return _by_programs(network.with_output(end), region, space, most)
    for width in (1, 2, 4, 16):
        try:
            return _enumerated(network.with_output(end), region, space, most, width)
        except SolverError:
            if width == 16:
                raise
    raise SolverError("cannot enumerate regions: 0 widths tried. Report this.")


def _chosen(network: Network, space: HalfSpaces, method: Method | None) -> Method:
    n = network.input_size
    if method not in {None, "vertices", "programs"}:
        raise InvalidArgumentError(
            f"cannot enumerate regions: the method is {method!r}, and 'vertices' and"
            " 'programs' are known. Pass one of them."
        )
    if method == "vertices" and n > LARGEST:
        raise InvalidArgumentError(
            f"cannot list vertices: the network reads {n} numbers, and {LARGEST} is the"
            " most that vertices are listed for. Use method='programs'."
        )
    if method is not None:
        return method
    endless = space.box is not None and np.isinf(np.concatenate(space.box)).any()
    return "vertices" if n <= SMALL or (endless and n <= LARGEST) else "programs"


def _by_programs(
    network: Network, region: Polyhedral, space: HalfSpaces, budget: int
) -> LinearRegions:
    found = listed(region, space, budget)
    cells = len(found.points)
    if not cells and not found.undecided:
        raise InvalidArgumentError(
            f"cannot enumerate regions: the domain's {len(space.right)} inequalities"
            " leave no interior. Pass a domain with one."
        )
    owner = distinct(region, found.codes, cells)
    _, first = np.unique(owner, return_index=True)
    counts: dict[str, int] = {}
    for layer in region.network.layers:
        if layer.nodes and layer.nodes[-1] in found.codes:
            before = [found.codes[i] for i in found.codes if i <= layer.nodes[-1]]
            counts[layer.name] = 1 + int(same_rows(before, cells).max(initial=-1))
    device = network.device
    points = torch.from_numpy(found.points[first])
    return LinearRegions(
        network=network,
        count=len(first),
        counts=counts,
        codes=layer_codes(region, found.codes, first, device),
        points=points.reshape(-1, *network.input_shape).to(device),
        bounded=torch.ones(len(first), dtype=torch.bool, device=device),
        complete=found.complete and not found.undecided,
        decided=found.decided,
        undecided=found.undecided,
        reason=_programs_reason(found, budget),
        domain_volume=_volume(space),
        complex=None,
        owner=owner,
        labels=(),
    )


def _programs_reason(found: Listed, budget: int) -> str:
    parts: list[str] = []
    if not found.complete:
        parts.append(f"the budget of {budget:,} regions was used up")
    if found.undecided:
        parts.append(
            f"{found.undecided:,} times a sign is within rounding of zero all over what"
            " would be a region of its own"
        )
    return "; ".join(parts)


def _enumerated(
    network: Network, region: Polyhedral, space: HalfSpaces, budget: int, width: int
) -> LinearRegions:
    start = space.start()
    n = region.network.input_size
    sweep = Sweep(
        region=region,
        complex=started(start, n, width),
        budget=budget,
        label=start.sides + 2,
        exact=ExactValues(region),
    )
    for place in start.clips:
        sweep.clip_one(place, space.rows[place], float(space.right[place]))
    if not sweep.complex.count:
        raise InvalidArgumentError(
            f"cannot enumerate regions: the domain's {len(space.right)} inequalities"
            " leave no interior. Pass a domain with one."
        )
    counts: dict[str, int] = {}
    single = len(start.cells) == 1

    def visit(node: int) -> None:
        for layer in region.network.layers:
            if layer.nodes and layer.nodes[-1] == node:
                counts[layer.name] = _distinct(sweep, single)[0]

    sweep.run(visit)
    return _result(network, sweep, counts, space, single)


def _distinct(sweep: Sweep, single: bool) -> tuple[int, NDArray[np.int64]]:
    """Return how many patterns the cells have, and which one each has."""
    cells = sweep.complex.count
    if single:
        owner = distinct(sweep.region, sweep.codes, cells)
    else:
        owner = same_rows(list(sweep.codes.values()), cells)
    return 1 + int(owner.max()), owner


def _result(
    network: Network,
    sweep: Sweep,
    counts: dict[str, int],
    space: HalfSpaces,
    single: bool,
) -> LinearRegions:
    held = sweep.complex
    count, owner = _distinct(sweep, single)
    _, first = np.unique(owner, return_index=True)
    n = sweep.inputs
    sums = kernel.centres(held.head, held.ints, held.rows, n + 1)[first]
    inner = torch.from_numpy(sums[:, :n] / sums[:, n:])
    device = network.device
    left = set(sweep.region.network.layers) if not sweep.complete else set()
    missing = [layer.name for layer in left if layer.name not in counts]
    return LinearRegions(
        network=network,
        count=count,
        counts=counts,
        codes=layer_codes(sweep.region, sweep.codes, first, device),
        points=inner.reshape(-1, *network.input_shape).to(device),
        bounded=torch.from_numpy(_bounded(held, owner, count)).to(device),
        complete=sweep.complete,
        decided=held.decided,
        undecided=0,
        reason=_reason(sweep, missing),
        domain_volume=_volume(space),
        complex=held,
        owner=owner,
        labels=tuple(
            (label, source_name(sweep.region.network, node), units)
            for label, node, units in sweep.facets
        ),
    )


def _reason(sweep: Sweep, missing: list[str]) -> str:
    if sweep.complete:
        return ""
    return (
        f"the budget of {sweep.budget:,} cells was used up in layer"
        f" {source_name(sweep.region.network, sweep.facets[-1][1])!r};"
        f" {len(missing)} layers are not finished"
    )


def _bounded(held: Complex, owner: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    infinite = held.rows[:, held.dimension] == 0
    result = np.ones(count, bool)
    if infinite.any():
        for cell in range(held.count):
            first, size = held.head[cell, 0], held.head[cell, 2]
            if infinite[held.ints[first : first + size]].any():
                result[owner[cell]] = False
    return result


def _volume(space: HalfSpaces) -> float:
    if space.box is None:
        return float("nan")
    low, high = space.box
    return float(np.prod(high - low))

"""All linear regions of a network over a domain of few dimensions."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.errors import InvalidArgumentError, SolverError
from relulens.graph.convert import converted
from relulens.graph.domain import Box
from relulens.graph.network import Layer, Network
from relulens.graph.nodes import TwoSlope
from relulens.graph.polyhedral import Polyhedral, polyhedral, source_name
from relulens.local.polytope import Polytope
from relulens.numerics.kernels import cells as kernel
from relulens.regions.complex import Complex, started
from relulens.regions.exact import ExactValues
from relulens.regions.half_spaces import HalfSpaces, half_spaces
from relulens.regions.linear_regions import LinearRegions
from relulens.regions.sweep import Sweep

BUDGET = 5_000_000
"""Default for the most regions."""

LARGEST = 10
"""Most input dimensions; the vertices of one cell grow like 2 to this power."""


def linear_regions(
    network: Network,
    domain: Box | Polytope | None = None,
    /,
    *,
    layers: int | str | None = None,
    budget: int | None = None,
) -> LinearRegions:
    """Return every linear region that meets the interior of a domain.

    Cells are cut by one unit after another, on their vertices and edges; signs that
    rounding leaves open are decided in whole numbers, so arrangements where many faces
    meet or coincide come out right :cite:p:`balestriero2018spline`.

    Args:
        network: A network that is piecewise affine up to the layer, of few inputs.
        domain: A box, whose sides may be infinite; a polytope, as ``region_polytope``
            gives; the network's own domain by default, else the whole space.
        layers: Take the layers up to this one; all of them by default.
        budget: Most cells; beyond it the result is partial and says so.

    Returns:
        The regions; a unit is on in a region if its argument is positive inside it.

    Raises:
        InvalidArgumentError: The domain is empty or flat, or the network has too many
            inputs for this.
        NotPolyhedralError: A node is not piecewise affine; all are named.
        UnknownNameError: No layer has this name.

    Cost:
        About 2 to 30 microseconds a region, more with the dimension: one has
        ``2**inputs`` vertices or more.

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
    if network.input_size > LARGEST:
        raise InvalidArgumentError(
            f"cannot enumerate regions: the network reads {network.input_size} numbers,"
            f" and {LARGEST} is the most that vertices can be listed for. Cut it with a"
            " plane (slice_partition), or count with regions_in_ball."
        )
    most = BUDGET if budget is None else budget
    if most < 1:
        raise InvalidArgumentError(
            f"cannot enumerate regions: the budget is {most}, and 1 is the least. Raise"
            " it."
        )
    exact = converted(network.with_output(end), torch.float64, torch.device("cpu"))
    region = polyhedral(exact, end)
    for width in (1, 2, 4, 16):
        try:
            return _enumerated(network.with_output(end), region, space, most, width)
        except SolverError:
            if width == 16:
                raise
    raise SolverError("cannot enumerate regions: 0 widths tried. Report this.")


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
    nodes = [sweep.region.nodes[i] for i in sweep.codes]
    if single and all(isinstance(node, TwoSlope) for node in nodes):
        return cells, np.arange(cells)
    table = np.concatenate([np.zeros((cells, 1), int), *sweep.codes.values()], axis=1)
    packed = np.ascontiguousarray(table.astype(np.int32))
    rows = packed.view(np.dtype((np.void, packed.dtype.itemsize * packed.shape[1])))
    _, first, owner = np.unique(rows.ravel(), return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return len(first), rank[owner.reshape(-1)]


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
        codes=_layer_codes(sweep, first, device),
        points=inner.reshape(-1, *network.input_shape).to(device),
        bounded=torch.from_numpy(_bounded(held, owner, count)).to(device),
        complete=sweep.complete,
        decided=held.decided,
        reason=_reason(sweep, missing),
        domain_volume=_volume(space),
        complex=held,
        owner=owner,
        labels=tuple(
            (label, source_name(sweep.region.network, node), units)
            for label, node, units in sweep.facets
        ),
    )


def _layer_codes(
    sweep: Sweep, first: NDArray[np.int64], device: torch.device
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for layer in sweep.region.network.layers:
        if layer.nodes and all(node in sweep.codes for node in layer.nodes):
            found[layer.name] = _code(layer, sweep, first).to(device)
    return found


def _code(layer: Layer, sweep: Sweep, first: NDArray[np.int64]) -> Tensor:
    head, *rest = (sweep.codes[node][first] for node in layer.nodes)
    node = sweep.region.nodes[layer.nodes[0]]
    total = head + sum((1 - code for code in rest), np.zeros_like(head))
    kind = torch.int8 if isinstance(node, TwoSlope) else torch.int32
    return torch.from_numpy(total).to(kind)


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

"""All linear regions of a network on a polygon of a plane through input space."""

import numpy as np
import torch

from relulens.errors import ShapeError
from relulens.graph.convert import converted
from relulens.graph.network import Network, last_uses
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral, polyhedral
from relulens.graph.tolerances import Tolerances
from relulens.numerics.kernels import planar
from relulens.regions.partition import Partition
from relulens.regions.partition_codes import Branch, CellCodes
from relulens.regions.plane import Plane
from relulens.regions.slice_basis import Basis, Combined
from relulens.regions.slice_certificate import SliceCertificate
from relulens.regions.slice_domain import convex_polygon
from relulens.regions.slice_exact import ExactSigns
from relulens.regions.slice_maximum import maximum_stage
from relulens.regions.slice_mesh import compacted, polygon_mesh
from relulens.regions.slice_stage import State, two_slope_stage


def slice_partition(
    network: Network,
    plane: Plane,
    domain: object,
    /,
    *,
    tol: Tolerances = Tolerances(),
    exact_seconds: float = 60.0,
) -> Partition:
    """Return all linear regions of a network on a convex polygon of a plane.

    Args:
        network: The network; every node that its output needs is piecewise affine.
        plane: The plane through input space.
        domain: Corners of the polygon [k, 2] in plane coordinates.
        exact_seconds: Time for decisions that rounding leaves open.

    Returns:
        The cells as a planar graph, with patterns, maps and evidence.

    Raises:
        NotPolyhedralError: Smooth or coupled nodes are among the output's ancestors.
        InvalidArgumentError: The domain is not a convex polygon with an area.
        NotFiniteError: A number is NaN or infinite.
        ShapeError: The plane lies in another space than the network's inputs.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 1.0]], None)])
        >>> plane = Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
        >>> slice_partition(network, plane, [[-1, -1], [1, -1], [1, 1], [-1, 1]]).count
        4
    """
    if tuple(plane.origin.shape) != network.input_shape:
        raise ShapeError(
            "the plane's origin",
            tuple(plane.origin.shape),
            network.input_shape,
            "Make the plane from points of the network's input shape.",
        )
    wide = converted(network, torch.float64, torch.device("cpu"))
    region = polyhedral(wide, wide.output, question="a slice's partition")
    polygon = convex_polygon(domain)
    mesh = polygon_mesh(polygon)
    exact = ExactSigns(
        region=region, plane=plane, corners=polygon, seconds=exact_seconds
    )
    state = State(
        mesh=mesh, basis=Basis.of_places(mesh.places, tol.sign), exact=exact, stages=[]
    )
    with torch.no_grad():
        counts = _walk(region, state, plane)
    return _result(network, plane, polygon, region, state, counts)


def _walk(region: Polyhedral, state: State, plane: Plane) -> dict[int, int]:
    """Cut by every nonlinear node in order; return the cells after each."""
    last = max((index for index, _ in region.nonlinear()), default=-1)
    free = last_uses(region.network.nodes, frozenset(region.nodes))
    values: dict[int, Combined] = {}
    counts: dict[int, int] = {}
    for index, node in region.nodes.items():
        if index > last:
            break
        match node:
            case Input():
                values[index] = state.basis.on_plane(plane)
            case Affine():
                values[index] = state.basis.affine(node, values)
            case TwoSlope():
                value = two_slope_stage(
                    state, index, node, values[node.source], last=index == last
                )
                counts[index] = state.mesh.cells
                if value is not None:
                    values[index] = value
            case Maximum():
                values[index] = maximum_stage(state, index, node, values[node.source])
                counts[index] = state.mesh.cells
        for spent in free.get(index, ()):
            values.pop(spent, None)
    return counts


def _result(
    network: Network,
    plane: Plane,
    polygon: np.ndarray,
    region: Polyhedral,
    state: State,
    counts: dict[int, int],
) -> Partition:
    mesh = compacted(state.mesh)
    areas = planar.cell_areas(mesh.places, mesh.offsets, mesh.corners)
    layer_of = {
        index: place
        for place, layer in enumerate(network.layers)
        for index in layer.nodes
    }
    table = np.full(len(network.nodes) + 1, -1)
    for index, place in layer_of.items():
        table[index] = place
    whole = float(
        planar.cell_areas(
            polygon, np.array([0, len(polygon)]), np.arange(len(polygon))
        )[0]
    )
    codes = CellCodes(
        region=region,
        whole=None,
        plane=plane,
        branches=[Branch(stages=state.stages)],
        starts=np.array([0, mesh.cells]),
    )
    used = sorted({layer_of[index] for index in counts})
    per_layer = [
        max(counts[i] for i in network.layers[place].nodes if i in counts)
        for place in used
    ]
    certificate = SliceCertificate(
        area=whole,
        area_difference=float(areas.sum()) - whole,
        euler=len(mesh.places) - len(mesh.edges) + mesh.cells,
        exact_signs=state.exact.decided,
        undecided_signs=state.exact.undecided,
        largest_error=float(mesh.errors.max()),
    )
    return Partition(
        network=network,
        plane=plane,
        domain=torch.from_numpy(polygon),
        vertices=torch.from_numpy(mesh.places),
        offsets=torch.from_numpy(mesh.offsets),
        indices=torch.from_numpy(mesh.corners),
        cell_edges=torch.from_numpy(mesh.borders),
        edges=torch.from_numpy(mesh.edges),
        edge_cells=torch.from_numpy(mesh.sides),
        edge_layer=torch.from_numpy(table[mesh.makers[:, 0]]),
        edge_unit=torch.from_numpy(mesh.makers[:, 1].astype(np.int64)),
        areas=torch.from_numpy(areas),
        layers=tuple(used),
        convex=True,
        counts=tuple(per_layer),
        complete=True,
        finished_area=1.0,
        certificate=certificate,
        codes=codes,
    )

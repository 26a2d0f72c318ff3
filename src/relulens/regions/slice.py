"""All linear regions of a network on a polygon of a plane through input space."""

from collections.abc import Callable, Iterator
from contextlib import closing

import torch

from relulens.errors import InvalidArgumentError, ShapeError
from relulens.graph.convert import converted
from relulens.graph.network import Network
from relulens.graph.polyhedral import Polyhedral, polyhedral
from relulens.graph.tolerances import Tolerances
from relulens.regions.partition import Partition
from relulens.regions.plane import Plane
from relulens.regions.slice_basis import Basis
from relulens.regions.slice_domain import convex_polygon
from relulens.regions.slice_exact import ExactSigns, Spent
from relulens.regions.slice_finished import Finished, Storage
from relulens.regions.slice_mesh import polygon_mesh
from relulens.regions.slice_result import Asked, partition_of
from relulens.regions.slice_stage import State
from relulens.regions.slice_walk import Walk


def slice_partition(
    network: Network,
    plane: Plane,
    domain: object,
    /,
    *,
    layers: int | str | None = None,
    budget: float | None = None,
    cells: int | None = None,
    tol: Tolerances = Tolerances(),  # noqa: B008
    exact_seconds: float = 60.0,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Partition:
    """Return all linear regions of a network on a convex polygon of a plane.

    The network is walked node by node. A cell on which a unit changes sign is split
    along a chord, and all that decides how is signs at vertices and the order of
    crossings; signs that rounding leaves open are decided in whole numbers.

    Args:
        network: The network; every node that its output needs is piecewise affine.
        plane: The plane through input space.
        domain: Corners of the polygon [k, 2] in plane coordinates.
        layers: The last layer to cut by, an index or a name: the patterns of layers up
            to this one are told apart. All layers by default.
        budget: Seconds after which the parts finished so far are returned.
        cells: Finished cells at which the walk stops, likewise.
        tol: ``sign`` caps what is taken for rounding, which in deep networks no
            useful bound exists for.
        exact_seconds: Time for exact decisions; the certificate counts what is left.
        threads: How many parts of the slice are cut at a time, each on one core.
        progress: Called with thousandths of the area finished, and 1000.

    Returns:
        The cells as a planar graph, with patterns, maps and evidence.

    Raises:
        NotPolyhedralError: Smooth or coupled nodes are among the output's ancestors.
        InvalidArgumentError: The domain is not a convex polygon with an area, or a
            budget is not positive, or the threads are not 1 or more.
        NotFiniteError: A number is NaN or infinite.
        ShapeError: The plane lies in another space than the network's inputs.
        UnknownNameError: No layer has this name.
        SolverError: Signs left to rounding contradict each other.

    Cost:
        One product per layer over the vertices, and time and memory in proportion to
        the cells; the first call in a fresh installation compiles for half a minute.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> first = [[1.0, 0.0], [0.0, 1.0]]
        >>> network = from_layers([(first, None), ([[1.0, 1.0]], None)])
        >>> plane = Plane([0.0, 0.0], first)
        >>> slice_partition(network, plane, [[-1, -1], [1, -1], [1, 1], [-1, 1]]).count
        4
    """
    asked = _asked(network, plane, domain, layers)
    walk, start = _begun(
        asked, tol, exact_seconds, budget=budget, cells=cells, threads=threads
    )
    done = 0.0
    finished: list[Finished] = []
    for part in walk.parts(start):
        finished.append(part)
        if progress is not None:
            done += part.area
            progress(int(1000 * done / asked.area), 1000)
    return partition_of(asked, walk, finished, walk.spent)


def slice_cells(
    network: Network,
    plane: Plane,
    domain: object,
    /,
    *,
    layers: int | str | None = None,
    tol: Tolerances = Tolerances(),  # noqa: B008
    exact_seconds: float = 60.0,
    threads: int = 1,
) -> Iterator[Partition]:
    """Give a slice's linear regions in parts, so that memory stays bounded.

    Args:
        network: The network.
        plane: The plane through input space.
        domain: Corners of the polygon [k, 2] in plane coordinates.
        layers: The last layer to cut by, as in ``slice_partition``.
        tol: As in ``slice_partition``.
        exact_seconds: As in ``slice_partition``.
        threads: As in ``slice_partition``; they stop when the iterator is closed.

    Yields:
        Partitions of neighbouring cells; together they are the whole slice. Vertices
        and edges between two parts are in both.
    """
    asked = _asked(network, plane, domain, layers)
    walk, start = _begun(asked, tol, exact_seconds, threads=threads)
    walk.storage = Storage.apart()
    with closing(walk.parts(start)) as parts:
        for part in parts:
            yield partition_of(asked, walk, [part], walk.spent, part=True)


def _asked(
    network: Network, plane: Plane, domain: object, layers: int | str | None
) -> Asked:
    """Check a question.

    Raises:
        ShapeError: The plane lies in another space than the network's inputs.
    """
    _check_plane(plane)
    if tuple(plane.origin.shape) != network.input_shape:
        raise ShapeError(
            "the plane's origin",
            tuple(plane.origin.shape),
            network.input_shape,
            "Make the plane from points of the network's input shape.",
        )
    polygon = convex_polygon(domain)
    wide = converted(network, torch.float64, torch.device("cpu"))
    question = "which linear regions a slice has"
    whole: Polyhedral | None = None
    if layers is None:
        region = whole = polyhedral(wide, wide.output, question=question)
    else:
        place = wide.layer_index(layers)
        end = wide.layers[place].output
        region = polyhedral(wide, end, question=question)
    return Asked(
        network=network, region=region, whole=whole, plane=plane, polygon=polygon
    )


def _check_plane(plane: object) -> None:
    """Refuse what is no plane.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if not isinstance(plane, Plane):
        raise InvalidArgumentError(
            f"cannot cut a slice along a {type(plane).__name__}: a plane is needed."
            " Pass Plane(origin, directions) or Plane.through(p0, p1, p2)."
        )


def _begun(
    asked: Asked,
    tol: Tolerances,
    exact_seconds: float,
    *,
    budget: float | None = None,
    cells: int | None = None,
    threads: int,
) -> tuple[Walk, State]:
    """Return the walk and the state it starts from.

    Raises:
        InvalidArgumentError: A budget is not positive, or there is no thread.
    """
    for name, value in (("budget", budget), ("cells", cells)):
        if value is not None and not value > 0:
            raise InvalidArgumentError(
                f"cannot cut a slice: {name} is {value}, and must be above 0. Leave it"
                " out to finish the slice."
            )
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise InvalidArgumentError(
            f"cannot cut a slice: threads is {threads!r}, and must be a whole number"
            " of at least 1. Pass as many as cores are free."
        )
    mesh = polygon_mesh(asked.polygon)
    exact = ExactSigns(
        region=asked.region,
        plane=asked.plane,
        corners=asked.polygon,
        spent=Spent(seconds=exact_seconds),
    )
    state = State(
        mesh=mesh,
        basis=Basis.of_places(mesh.places, tol.sign),
        exact=exact,
        stages=[],
        values={},
    )
    walk = Walk(
        region=asked.region,
        plane=asked.plane,
        spent=exact.spent,
        seconds=budget,
        most=cells,
        threads=threads,
    )
    return walk, state

import math
from pathlib import Path

import pytest
import torch
from networks import NETWORKS, POLYHEDRAL, finish, start, whole
from oracles import group_lists, jacobian, replayed
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotPolyhedralError, ShapeError
from relulens.graph.network import Network
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.importers.layers import from_layers
from relulens.local import boundary
from relulens.local.affine_map import local_affine_map
from relulens.local.boundary import BoundaryDistance, boundary_distance
from relulens.local.pattern import activation_pattern


def near(x: Tensor) -> Tensor:
    """Return points near these, off every kink."""
    return x + whole(*x.shape, seed=31, most=1000) / 1024


def brute_force(network: Network, x: Tensor) -> Tensor:
    """Return the distance to the nearest hyperplane of any unit, by autograd rows."""
    values = replayed(network, x)
    best = torch.full((len(x),), math.inf, dtype=torch.float64)
    for node in network.nodes:
        if not isinstance(node, TwoSlope | Maximum):
            continue
        z = values[node.source].flatten(1)
        rows = jacobian(network, x, node.source)
        if isinstance(node, TwoSlope):
            pairs = [(z, rows)]
        else:
            pairs = []
            for entries in group_lists(node.groups):
                first = z[:, entries].argmax(1)
                every = torch.arange(len(x))
                lead = z[:, entries][every, first][:, None] - z[:, entries]
                spread = rows[:, entries][every, first][:, None] - rows[:, entries]
                pairs.append((lead, spread))
        for value, row in pairs:
            norm = row.norm(dim=2)
            found = torch.where(norm > 1e-9, value.abs() / norm, math.inf)
            best = torch.minimum(best, found.amin(1))
    return best


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_distances_to_all_faces_are_those_of_brute_force(name: str) -> None:
    network, x = NETWORKS[name]()
    x = near(x)
    found = boundary_distance(network, x, faces="all")
    assert found.complete.all()
    assert torch.allclose(found.distance, brute_force(network, x), rtol=1e-12)


def assert_law(
    network: Network, x: Tensor, found: BoundaryDistance, rays: int = 40
) -> None:
    """Check that the network is its map inside, and another one just beyond."""
    m = local_affine_map(network, x)
    shape = (-1, *[1] * (x.ndim - 1))
    size = 1 + replayed(network, x)[network.output].abs().max()
    generator = torch.Generator().manual_seed(3)
    radius = found.distance.clamp(max=100.0)
    for _ in range(rays):
        v = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        v /= v.flatten(1).norm(dim=1).reshape(shape)
        y = x + 0.999 * radius.reshape(shape) * v
        value = replayed(network, y)[network.output]
        assert torch.allclose(
            m(y), value, atol=1e-12 * float(size * (1 + y.abs().max()))
        )
    here = activation_pattern(network, x)
    for i in (torch.isfinite(found.distance) & found.complete).nonzero().flatten():
        one = activation_pattern(network, around_the_face(x, found, int(i)))
        codes = (c[i] for c in here.codes.values())
        flips = [
            (a != b).any(1) for a, b in zip(one.codes.values(), codes, strict=True)
        ]
        assert torch.stack(flips).any(0).any()


def around_the_face(x: Tensor, found: BoundaryDistance, i: int) -> Tensor:
    """Return points around the nearest point of the face: it may be a corner."""
    generator = torch.Generator().manual_seed(4)
    size = 1e-5 * float(found.distance[i]) + 1e-7
    touched = x[i] + found.distance[i] * found.normal[i]
    noise = torch.randn(2000, *x.shape[1:], generator=generator, dtype=torch.float64)
    straight = touched + size * found.normal[i]
    return torch.cat([straight[None], touched + size * noise])


@pytest.mark.parametrize("name", POLYHEDRAL)
@pytest.mark.parametrize("faces", ["effective", "all"])
def test_the_map_holds_inside_and_codes_flip_beyond(name: str, faces: str) -> None:
    network, x = NETWORKS[name]()
    x = torch.cat([x, near(x)])
    assert_law(network, x, boundary_distance(network, x, faces=faces))


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_beyond_an_effective_face_the_output_has_another_slope(name: str) -> None:
    network, x = NETWORKS[name]()
    x = near(x)
    found = boundary_distance(network, x)
    chosen = found.complete & torch.isfinite(found.distance)
    if not chosen.any():
        return
    slope = jacobian(network, x)
    values = replayed(network, x)[network.output]
    for i in chosen.nonzero().flatten().tolist():
        beyond = around_the_face(x, found, i)
        straight = values[i] + (beyond - x[i]).flatten(1) @ slope[i].T
        bent = replayed(network, beyond)[network.output]
        assert (bent - straight).abs().max() > 1e-10


@pytest.mark.parametrize("name", ["wide", "absolute_value", "duplicate_hyperplane"])
def test_effective_distances_are_where_rays_first_bend(name: str) -> None:
    """March along many rays in the plane until the output leaves its affine map."""
    network, x = NETWORKS[name]()
    x = near(x)
    found = boundary_distance(network, x)
    m = local_affine_map(network, x)
    angle = torch.linspace(0, 2 * math.pi, 720, dtype=torch.float64)
    rays = torch.stack([angle.cos(), angle.sin()], dim=1)
    for i in range(len(x)):
        if not torch.isfinite(found.distance[i]):
            continue
        times = float(found.distance[i]) * torch.linspace(0.5, 1.5, 101).double()
        points = x[i] + times[:, None, None] * rays
        flat = points.reshape(-1, 2)
        bent = replayed(network, flat)[network.output]
        flat_map = flat @ m.slope[i].T + m.offset[i]
        off = (bent - flat_map).abs().amax(1).reshape(101, 720) > 1e-9
        first = times[off.any(1).nonzero()[0, 0]]
        assert found.complete[i]
        assert abs(float(first / found.distance[i]) - 1) <= 0.011


def test_units_on_one_hyperplane_are_all_named() -> None:
    layers = [([[1.0, 1.0], [2.0, 2.0], [-1.0, -1.0]], [-1.0, -2.0, 1.0])]
    network = from_layers([*layers, (whole(2, 3, seed=1), None)])
    found = boundary_distance(network, [[2.0, 1.0]])
    assert found.distance.item() == pytest.approx(2 / math.sqrt(2), rel=1e-15)
    assert sorted(unit.unit for unit in found.units[0]) == [0, 1, 2]
    assert found.layer == ("relu0",)
    assert torch.allclose(found.normal[0], torch.tensor([-1.0, -1.0]).double() / 2**0.5)


def test_units_that_cancel_are_no_effective_face() -> None:
    """``relu(x) - relu(-x)`` is x; the only bend is that of the third unit."""
    first = ([[1.0], [-1.0], [1.0]], [0.0, 0.0, -5.0])
    network = from_layers([first, ([[1.0, -1.0, 1.0]], None)])
    found = boundary_distance(network, [[1.0], [-2.0]])
    assert found.distance.tolist() == [4.0, 7.0]
    assert found.complete.all()
    assert [units[0].unit for units in found.units] == [2, 2]
    everything = boundary_distance(network, [[1.0], [-2.0]], faces="all")
    assert everything.distance.tolist() == [1.0, 2.0]


def test_a_dead_unit_that_an_unread_one_revives() -> None:
    """Regions behind faces that do not matter bring the edge nearer.

    With ``u = relu(-x)`` the output is ``relu(-x + 10 u - 25)``: at x = 2 the last unit
    is off, and its face in this region is at x = -25. Behind x = 0, where ``u`` sets in
    and nothing else changes, it comes to ``11 u = 25``.
    """
    first = ([[-1.0], [1.0], [-1.0]], None)
    second = ([[10.0 + 1.0, -1.0, 0.0]], [-25.0])
    network = from_layers([first, second, ([[1.0]], None)])
    found = boundary_distance(network, [[2.0]])
    assert found.complete.all()
    assert found.distance.item() == pytest.approx(2 + 25 / 11, rel=1e-12)
    assert found.layer == ("relu1",)
    assert found.normal.tolist() == [[-1.0]]


@pytest.mark.parametrize("name", [n for n in POLYHEDRAL if n != "deep"])
def test_nearly_every_distance_is_exact(name: str) -> None:
    network, x = NETWORKS[name]()
    assert boundary_distance(network, torch.cat([x, near(x)])).complete.all()


def test_unread_and_dead_units_are_no_effective_face() -> None:
    network, _ = NETWORKS["unread_unit"]()
    found = boundary_distance(network, [[1.0, 2.0]])
    assert [unit.unit for unit in found.units[0]] == [0]
    everything = boundary_distance(network, [[1.0, 2.0]], faces="all")
    assert [unit.unit for unit in everything.units[0]] == [1]


def test_a_pool_before_a_relu_waits_for_whichever_entry_comes_first() -> None:
    """``relu(max(x, y))`` at (-3, -1) bends at y = 0, at (-1, -1.5) at x = 0."""
    network = maximum_then_relu()
    found = boundary_distance(network, [[-3.0, -1.0], [-1.0, -1.5]])
    assert found.distance.tolist() == [1.0, 1.0]
    assert found.complete.all()
    assert found.layer == ("relu", "relu")
    everything = boundary_distance(network, [[-1.0, -1.5]], faces="all")
    assert everything.distance.item() == pytest.approx(0.5 / math.sqrt(2))
    assert everything.layer == ("max",)


def maximum_then_relu() -> Network:
    from relulens.graph.groups import Groups
    from relulens.importers.builder import with_batch

    build, x = start(2)
    groups = Groups.along((2,), 0)
    y = build.maximum("max", x, groups, with_batch(()), operation="maximum")
    return finish(build, build.two_slope("relu", y, 0.0, operation="relu"))


def test_an_input_on_a_face_is_at_distance_zero() -> None:
    network, x = NETWORKS["unit_on_the_point"]()
    found = boundary_distance(network, x, faces="all")
    assert found.distance.tolist() == [0.0, 0.0]


def test_without_units_there_is_no_face() -> None:
    network, x = NETWORKS["plain_affine"]()
    found = boundary_distance(network, x)
    assert torch.isinf(found.distance).all()
    assert found.complete.all()
    assert found.layer == (None,) * len(x)
    assert found.unit.tolist() == [-1] * len(x)


def test_screening_in_float32_gives_the_same_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layers = [(torch.randn(9, 4), torch.randn(9)), (torch.randn(3, 9), None)]
    network, x = from_layers(layers), torch.randn(5, 4, dtype=torch.float64)
    exact = boundary_distance(network, x)
    monkeypatch.setattr(boundary, "SCREENED_ENTRIES", 0)
    screened = boundary_distance(network, x)
    assert (exact.screening, screened.screening) == ("float64", "float32")
    assert 0 < screened.deviation < 1e-5
    assert torch.allclose(screened.distance, exact.distance, rtol=1e-13)
    assert screened.units == exact.units


def test_what_the_budget_leaves_out_is_nan_with_a_reason() -> None:
    network, x = NETWORKS["max_pool"]()
    found = boundary_distance(network, x, budget=-1.0)
    assert torch.isnan(found.distance).all()
    assert not found.complete.any()
    assert "budget" in found.reasons[0]
    assert found.normal.shape == x.shape


def test_no_inputs_and_progress() -> None:
    network, x = NETWORKS["max_pool"]()
    none = boundary_distance(network, x[:0])
    assert len(none) == 0
    assert none.normal.shape == x[:0].shape
    seen: list[tuple[int, int]] = []
    found = boundary_distance(network, x, progress=lambda a, b: seen.append((a, b)))
    assert seen[-1] == (4, 4)
    assert torch.equal(torch.as_tensor(found.__array__()), found.distance)
    assert found[0] == found.distance[0]


def test_refusals() -> None:
    network, x = NETWORKS["smooth"]()
    with pytest.raises(NotPolyhedralError) as curved:
        boundary_distance(network, x)
    assert [node.name for node in curved.value.nodes] == ["tanh", "gelu", "sigmoid"]
    network, x = NETWORKS["wide"]()
    with pytest.raises(InvalidArgumentError):
        boundary_distance(network, x, faces="some")
    with pytest.raises(ShapeError):
        boundary_distance(network, x[0])


@pytest.fixture(scope="module")
def lenet(shared: Path) -> Network:
    from relulens.importers.load import load

    return load(shared / "models" / "mnist-lenet-maxpool.onnx")


def digits(shared: Path, count: int) -> Tensor:
    import gzip

    raw = (shared / "data" / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes()
    pixels = torch.frombuffer(bytearray(gzip.decompress(raw)[16:]), dtype=torch.uint8)
    return pixels[: count * 784].reshape(count, 1, 28, 28).double() / 255


def test_ties_of_background_pixels(lenet: Network, shared: Path) -> None:
    """Blank windows tie, so every image lies on a face; off them nothing is zero."""
    x = digits(shared, 100)
    found = boundary_distance(lenet, x)
    assert found.complete.all()
    assert (found.distance == 0).all()
    tied = local_affine_map(lenet, x[:5])
    assert (tied.margin == 0).all()
    assert_law(lenet, x[:20], boundary_distance(lenet, x[:20]), rays=3)
    pools = {lenet.layers[0].name, lenet.layers[2].name}
    assert {t.layer for units in tied.tight for t in units} <= pools


def test_images_off_their_ties(lenet: Network, shared: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    x = digits(shared, 12)
    x = x + 0.02 * torch.rand(x.shape, generator=generator, dtype=torch.float64)
    found = boundary_distance(lenet, x)
    assert (found.distance > 0).all()
    assert_law(lenet, x, found)
    everything = boundary_distance(lenet, x, faces="all")
    assert (everything.distance <= found.upper).all()

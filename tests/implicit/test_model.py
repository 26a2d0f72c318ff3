"""Models from matrices and from networks, with networks' own values as oracle."""

import numpy as np
import pytest
import torch
from networks import NETWORKS
from resnet import resnet20
from scipy.sparse import csr_array

import relulens as rl
from relulens.errors import InvalidArgumentError, NotFiniteError, ShapeError
from relulens.graph.maps import SparseMatrix
from relulens.implicit.model import ImplicitModel
from relulens.implicit.picture import sparsity_picture


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_and_its_model_agree(name):
    network, x = NETWORKS[name]()
    model = rl.implicit_model(network)
    found = rl.equilibrium(model, x).output.reshape(len(x), *network.output_shape)
    assert torch.equal(found, rl.evaluate(network, x).double())
    assert model.n == network.state_size


@pytest.mark.parametrize("name", NETWORKS)
def test_matrices_say_the_same_as_the_maps(name):
    network, x = NETWORKS[name]()
    model = rl.implicit_model(network)
    u = model.as_input(x)
    state = rl.equilibrium(model, x).state
    A, B, C, D = (getattr(model, k).to_sparse().toarray() for k in "ABCD")
    z = state.numpy() @ A.T + u.numpy() @ B.T + model.a.numpy()
    again = model.phi.value(torch.from_numpy(z))
    assert torch.allclose(again, state, rtol=1e-12, atol=1e-12)
    y = state.numpy() @ C.T + u.numpy() @ D.T + model.d.numpy()
    wanted = rl.evaluate(network, x).flatten(1).double().numpy()
    assert np.allclose(y, wanted, rtol=1e-12, atol=1e-12)


def test_resnet20_has_the_state_of_the_source():
    network = resnet20()
    model = rl.implicit_model(network)
    assert (model.n, model.p, model.q) == (188_416, 3072, 10)
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    solution = rl.equilibrium(model, x)
    wanted = rl.evaluate(network, x)
    assert (solution.output - wanted).abs().max() <= 1e-12 * wanted.abs().max()
    assert rl.wellposedness(model).method == "triangular"


@pytest.mark.slow
def test_the_real_resnet20_as_a_sparse_matrix(shared):
    network = rl.load(shared / "models" / "cifar10-resnet20.onnx")
    A = rl.implicit_model(network).A.to_sparse()
    assert A.shape == (188_416, 188_416)
    assert A.nnz == 36_612_608
    assert A.indices.dtype == np.int32


def test_all_ways_to_give_a_matrix_are_one():
    A = np.array([[0.0, 0.25], [0.5, 0.0]])
    eye = np.eye(2)
    ways = [
        A,
        torch.from_numpy(A),
        csr_array(A),
        SparseMatrix(csr_array(A), (2,), (2,)),
        [[None, A[:1, 1:]], [A[1:, :1], None]],
        [[A[:1, :1], A[:1, 1:]], [A[1:, :1], A[1:, 1:]]],
    ]
    x = torch.tensor([[1.0, -2.0], [3.0, 0.5]]).double()
    found = [rl.equilibrium(ImplicitModel(way, eye, eye), x).output for way in ways]
    for other in found:
        assert torch.allclose(other, found[0], atol=1e-8)
    names = ImplicitModel(ways[4], eye, eye).phi.state_offsets
    assert names == (0, 1, 2)


def test_a_worked_example():
    # x = relu(x / 2 + u) is 2 u for u > 0, and 0 else; y = 3 x + 1.
    model = ImplicitModel([[0.5]], [[1.0]], [[3.0]], None, "relu", None, [1.0])
    solution = rl.equilibrium(model, [[1.0], [-1.0]], error=1e-12)
    assert torch.allclose(solution.output, torch.tensor([[7.0], [1.0]]).double())
    assert (model.n, model.p, model.q) == (1, 1, 1)


def test_phi_by_blocks():
    A = np.zeros((4, 4))
    model = ImplicitModel(
        A, np.eye(4), np.eye(4), None, [("relu", 1), ("tanh", 1), ("softmax", 2)]
    )
    u = torch.tensor([[-1.0, 1.0, 0.0, 0.0]]).double()
    wanted = torch.tensor([[0.0, np.tanh(1.0), 0.5, 0.5]]).double()
    assert torch.allclose(rl.equilibrium(model, u).output, wanted)
    low, high = ImplicitModel(A, A, A, None, "silu").phi.slopes()
    assert low.max() < 0
    assert high.min() > 1


def test_refusals():
    eye = np.eye(2)
    with pytest.raises(InvalidArgumentError, match=r"A is .* B is .* C is .* D is"):
        ImplicitModel(eye, np.ones((3, 2)), eye)
    with pytest.raises(InvalidArgumentError, match="none of the names"):
        ImplicitModel(eye, eye, eye, None, "step")
    with pytest.raises(NotFiniteError, match="A has"):
        ImplicitModel(eye * np.nan, eye, eye)
    with pytest.raises(InvalidArgumentError, match="2 axes"):
        ImplicitModel(np.ones(3), eye, eye)
    with pytest.raises(InvalidArgumentError, match="a is"):
        ImplicitModel(eye / 2, eye, eye, None, "relu", np.ones(3))
    model = ImplicitModel(eye / 2, eye, eye)
    with pytest.raises(ShapeError, match="batch axis"):
        rl.equilibrium(model, [1.0, 2.0])
    with pytest.raises(NotFiniteError):
        rl.equilibrium(model, [[np.nan, 2.0]])


@pytest.mark.parametrize("wrong", ["a", None, [["a"]], [[1.0], [1.0, 2.0]], {}])
def test_what_is_no_matrix_is_refused(wrong):
    eye = [[1.0]]
    for place in range(4):
        given = [eye, eye, eye, eye]
        if place == 3 and wrong is None:
            continue
        given[place] = wrong
        with pytest.raises(InvalidArgumentError, match=f"cannot .* {'ABCD'[place]}"):
            ImplicitModel(*given)
    if wrong is not None:
        with pytest.raises(InvalidArgumentError):
            ImplicitModel(eye, eye, eye, None, "relu", wrong)


def test_wrong_types_are_refused():
    eye = [[1.0]]
    with pytest.raises(InvalidArgumentError, match=r"cannot use A\[0\]\[0\]"):
        ImplicitModel([[[[1.0], [1.0, 2.0]]]], eye, eye)
    with pytest.raises(InvalidArgumentError, match="row 1 of the table A"):
        ImplicitModel([[np.eye(1)], 3], eye, eye)
    for phi in (3, None, object(), [3], ("relu", 3.0)):
        with pytest.raises(InvalidArgumentError, match="cannot use phi"):
            ImplicitModel(eye, eye, eye, None, phi)
    for pair in (("relu", "many"), ("relu",), ("relu", -1)):
        with pytest.raises(InvalidArgumentError, match="no pair"):
            ImplicitModel(eye, eye, eye, None, [pair])
    with pytest.raises(InvalidArgumentError, match="tuple as domain"):
        ImplicitModel(eye, eye, eye, domain=(0, 1))
    for shape in ("a", 1.0):
        with pytest.raises(InvalidArgumentError, match="whole numbers"):
            ImplicitModel(eye, eye, eye, input_shape=shape)
    with pytest.raises(InvalidArgumentError, match="2 entries, and"):
        ImplicitModel(eye, eye, eye, output_shape=(2,))
    size = np.int64(1)
    model = ImplicitModel(eye, eye, eye, None, [("relu", size)], input_shape=(size,))
    for wrong in ("a", model, None):
        with pytest.raises(InvalidArgumentError, match="a network is needed"):
            rl.implicit_model(wrong)


def test_files_give_the_model_back(tmp_path):
    for name in ("residual", "max_pool", "one_unit"):
        if name not in NETWORKS:
            continue
        network, x = NETWORKS[name]()
        model = rl.implicit_model(network)
        for ending in ("npz", "safetensors"):
            path = rl.write_implicit_model(model, tmp_path / f"{name}.{ending}")
            again = rl.read_implicit_model(path)
            assert again.phi.state_offsets == model.phi.state_offsets
            assert [b.name for b in again.phi.blocks] == [
                b.name for b in model.phi.blocks
            ]
            found = rl.equilibrium(again, model.as_input(x)).output
            assert torch.allclose(found, rl.equilibrium(model, x).output, atol=1e-12)


def test_files_that_are_refused(tmp_path):
    model = ImplicitModel([[0.5]], [[1.0]], [[1.0]])
    with pytest.raises(InvalidArgumentError, match="neither"):
        rl.write_implicit_model(model, tmp_path / "model.txt")
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(rl.errors.DataError, match="no implicit model"):
        rl.read_implicit_model(tmp_path / "other.npz")
    for content in (b"nothing", b"", b"PK\x03\x04"):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(rl.errors.DataError, match=r"no \.npz"):
            rl.read_implicit_model(tmp_path / "broken.npz")
    for ending in ("npz", "safetensors"):
        with pytest.raises(rl.errors.DataError, match="no such file"):
            rl.read_implicit_model(tmp_path / f"none.{ending}")
        with pytest.raises(rl.errors.OutputFolderError, match="there is no folder"):
            rl.write_implicit_model(model, tmp_path / "none" / f"model.{ending}")
    with pytest.raises(rl.errors.DataError, match="it is a folder"):
        rl.read_implicit_model(tmp_path)
    with pytest.raises(InvalidArgumentError, match="an implicit model is needed"):
        rl.write_implicit_model("model", tmp_path / "model.npz")


def test_the_picture_counts_every_entry():
    network, _ = NETWORKS["residual"]()
    model = rl.implicit_model(network)
    picture = sparsity_picture(model, cells=2)
    A = model.A.to_sparse()
    A.eliminate_zeros()
    assert sum(block.entries for block in picture.blocks) == A.nnz
    for block in picture.blocks:
        assert block.counts.sum() == block.entries
    axes = rl.plot.implicit(picture)
    assert len(axes.images) == len(picture.blocks)


def test_rescaling_keeps_the_function_and_lowers_the_norm():
    rng = np.random.default_rng(3)
    A = np.abs(rng.standard_normal((20, 20)))
    A *= 0.97 / np.abs(np.linalg.eigvals(A)).max()
    A = np.diag(np.exp(rng.standard_normal(20))) @ A
    A *= 0.97 / np.abs(np.linalg.eigvals(A)).max()
    model = ImplicitModel(A, rng.standard_normal((20, 3)), np.ones((2, 20)))
    scaled = rl.rescaled(model)
    norm = scaled.A.to_dense().abs().sum(1).max()
    assert np.abs(A).sum(1).max() > 1
    assert norm < 1
    assert norm < 0.971
    x = torch.from_numpy(rng.standard_normal((5, 3)))
    first, second = (rl.equilibrium(m, x, error=1e-8).output for m in (model, scaled))
    assert (first - second).abs().max() < 1e-6
    with pytest.raises(InvalidArgumentError, match="homogeneous"):
        rl.rescaled(ImplicitModel(A, A, A, None, "tanh"))

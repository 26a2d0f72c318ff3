"""Reading .npz and .npy files."""

import io
import zipfile

import numpy as np
import pytest

from relulens.data.read import read_data
from relulens.errors import DataError, InvalidArgumentError, NotFiniteError, ShapeError
from relulens.graph.domain import Box
from relulens.importers.layers import from_layers


@pytest.fixture
def network():
    return from_layers([(np.eye(3), None), (np.ones((4, 3)), None)])


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_npz_gives_x_and_y(tmp_path, network):
    x, y = np.arange(12.0).reshape(4, 3), np.array([0, 1, 2, 3])
    data = read_data(save(tmp_path / "d.npz", x=x, y=y), network)
    assert (data.take([0, 1, 2, 3]) == x).all()
    assert data.labels.tolist() == [0, 1, 2, 3]
    assert (data.low, data.high, data.total, data.format) == (0.0, 11.0, 4, "npz")
    assert len(data.sha256) == 64


@pytest.mark.parametrize(
    ("arrays", "labelled"),
    [
        ({"X_test": 1, "y_test": 2, "X_train": 3}, True),
        ({"images": 1, "labels": 2}, True),
        ({"whatever": 1}, False),
        ({"x": 1, "other": 2}, False),
    ],
)
def test_npz_knows_usual_names(tmp_path, arrays, labelled):
    kinds = {1: np.ones((2, 3)), 2: np.array([1, 0]), 3: np.zeros((5, 3))}
    file = save(tmp_path / "d.npz", **{k: kinds[v] for k, v in arrays.items()})
    data = read_data(file)
    assert data.shape == (2, 3)
    assert (data.labels is not None) is labelled


def test_what_is_not_used_is_said(tmp_path):
    file = save(tmp_path / "d.npz", x=np.ones((2, 3)), exact=np.ones(2))
    assert any("exact" in note for note in read_data(file).notes)


def test_label_names_the_array(tmp_path):
    file = save(tmp_path / "d.npz", x=np.ones((2, 3)), kind=np.array([1, 0]))
    assert read_data(file, label="kind").labels.tolist() == [1, 0]
    with pytest.raises(
        DataError, match=r"array 'sort' is needed, and it holds x \[2, 3\]"
    ):
        read_data(file, label="sort")


def test_unknown_keys_are_listed(tmp_path):
    file = save(tmp_path / "d.npz", a=np.ones((2, 3)), b=np.ones(2))
    with pytest.raises(DataError, match=r"a \[2, 3\], b \[2\]"):
        read_data(file)


def test_pickles_are_refused(tmp_path):
    file = save(tmp_path / "d.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="Python objects, which can run code"):
        read_data(file)
    np.save(tmp_path / "d.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="Python objects"):
        read_data(tmp_path / "d.npy")


@pytest.mark.parametrize("length", [0, 10, 200])
def test_truncated_files_are_refused(tmp_path, length):
    whole = save(tmp_path / "d.npz", x=np.ones((20, 3)))
    broken = tmp_path / "broken.npz"
    broken.write_bytes(whole.read_bytes()[:length])
    with pytest.raises(DataError, match="cannot read"):
        read_data(broken)
    np.save(tmp_path / "d.npy", np.ones((20, 3)))
    (tmp_path / "b.npy").write_bytes((tmp_path / "d.npy").read_bytes()[: length + 1])
    with pytest.raises(DataError, match="cannot read"):
        read_data(tmp_path / "b.npy")


def test_damaged_entry_is_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY nothing")
    (tmp_path / "d.npz").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="cannot read"):
        read_data(tmp_path / "d.npz")


def test_npy_is_read_from_disk(tmp_path):
    np.save(tmp_path / "d.npy", np.arange(6).reshape(2, 3))
    data = read_data(tmp_path / "d.npy")
    assert isinstance(data.rows, np.memmap)
    assert data.take([1]).tolist() == [[3.0, 4.0, 5.0]]


def test_samples_are_a_seeded_subset(tmp_path):
    file = save(tmp_path / "d.npz", x=np.arange(100.0)[:, None], y=np.arange(100))
    first = read_data(file, samples=10, seed=1)
    again = read_data(file, samples=10, seed=1)
    other = read_data(file, samples=10, seed=2)
    assert first.index.tolist() == again.index.tolist() != other.index.tolist()
    assert (np.diff(first.index) > 0).all()
    assert (first.take(range(10))[:, 0] == first.index).all()
    assert first.labels.tolist() == first.index.tolist()
    assert first.sha256 == again.sha256 != other.sha256
    assert (first.seed, first.total) == (1, 100)
    assert any("10 of 100 rows" in note for note in first.notes)


def test_more_samples_than_rows_are_all_and_said(tmp_path):
    data = read_data(save(tmp_path / "d.npz", x=np.ones((3, 2))), samples=7)
    assert len(data) == 3
    assert any("7 samples were asked for, and there are 3" in n for n in data.notes)
    with pytest.raises(InvalidArgumentError):
        read_data(tmp_path / "d.npz", samples=-1)


def test_no_samples_are_valid(tmp_path, network):
    data = read_data(save(tmp_path / "d.npz", x=np.ones((3, 3))), network, samples=0)
    assert data.shape == (0, 3)
    assert np.isnan(data.low)
    assert list(data.batches(2)) == []


def test_numbers_are_divided_by_scale_and_nothing_else(tmp_path):
    pixels = np.array([[0, 51, 255]], dtype=np.uint8)
    file = save(tmp_path / "d.npz", x=pixels)
    assert read_data(file).take([0]).tolist() == [[0.0, 51.0, 255.0]]
    scaled = read_data(file, scale=255)
    assert scaled.take([0]).tolist() == [[0.0, 0.2, 1.0]]
    assert (scaled.scale, scaled.high) == (255.0, 1.0)
    for wrong in (0, -1, np.nan):
        with pytest.raises(InvalidArgumentError):
            read_data(file, scale=wrong)


def test_domain_error_names_both_ranges_and_the_fix(tmp_path):
    network = from_layers([(np.eye(3), None)], domain=Box(0, 1))
    file = save(tmp_path / "d.npz", x=np.array([[0, 51, 255]], dtype=np.uint8))
    with pytest.raises(DataError, match=r"0 to 255.*domain is 0 to 1.*--scale 255"):
        read_data(file, network)
    assert read_data(file, network, scale=255).high == 1.0


def test_domain_is_checked_entry_by_entry(tmp_path):
    network = from_layers([(np.eye(2), None)], domain=Box([0.0, 0.0], [1.0, 9.0]))
    fine = save(tmp_path / "fine.npz", x=np.array([[0.5, 6.0]]))
    assert len(read_data(fine, network)) == 1
    swapped = save(tmp_path / "swapped.npz", x=np.array([[6.0, 0.5]]))
    with pytest.raises(DataError, match="domain"):
        read_data(swapped, network)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_numbers_are_refused_with_their_row(tmp_path, bad):
    x = np.ones((5, 3))
    x[3, 1] = bad
    with pytest.raises(NotFiniteError, match=r"1 of its numbers.*first in row 3"):
        read_data(save(tmp_path / "d.npz", x=x))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 4], "run from 0 to 4.*outputs are 0 to 3"),
        ([-1, 1, 2], "1 of 3 are out of range"),
        ([1, 4, 2], "start at 1: subtract 1"),
        ([0.5, 1, 2], "not whole numbers, such as 0.5"),
        ([0, 1], r"shape is \[2\], and there are 3 inputs"),
    ],
)
def test_wrong_labels_are_refused(tmp_path, network, y, message):
    file = save(tmp_path / "d.npz", x=np.ones((3, 3)), y=np.array(y))
    with pytest.raises(DataError, match=message):
        read_data(file, network)


def test_words_become_numbers_in_alphabetical_order(tmp_path):
    file = save(
        tmp_path / "d.npz", x=np.ones((3, 3)), y=np.array(["cat", "ant", "cat"])
    )
    data = read_data(file)
    assert data.labels.tolist() == [1, 0, 1]
    assert data.class_names == ("ant", "cat")
    assert any("alphabetical order: 0 ant, 1 cat" in note for note in data.notes)


def test_labels_of_a_single_output_are_not_compared(tmp_path):
    network = from_layers([(np.ones((1, 3)), None)])
    file = save(tmp_path / "d.npz", x=np.ones((3, 3)), y=np.array([0.3, 0.5, 1.5]))
    data = read_data(file, network)
    assert data.labels is None
    assert any("single output" in note for note in data.notes)


def test_wrong_shape_names_both(tmp_path, network):
    with pytest.raises(ShapeError) as caught:
        read_data(save(tmp_path / "d.npz", x=np.ones((2, 5))), network)
    assert (caught.value.found, caught.value.wanted) == ((2, 5), (3,))


def test_words_are_no_inputs(tmp_path):
    with pytest.raises(DataError, match="real numbers are needed"):
        read_data(save(tmp_path / "d.npz", x=np.array(["a", "b"])))


def test_missing_files_and_unknown_kinds(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        read_data(tmp_path / "none.npz")
    (tmp_path / "d.xyz").write_text("")
    with pytest.raises(DataError, match="none of the kinds known"):
        read_data(tmp_path / "d.xyz")
    with pytest.raises(InvalidArgumentError, match="label='y'"):
        read_data(tmp_path / "d.xyz", label="y")

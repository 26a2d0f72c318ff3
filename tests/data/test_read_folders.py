"""Reading IDX files and folders of images."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from relulens.data.read import read_data
from relulens.errors import DataError, ShapeError
from relulens.importers.layers import from_layers

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_bytes(array, code):
    head = struct.pack(">BBBB", 0, 0, CODES[code], array.ndim)
    lengths = struct.pack(f">{array.ndim}I", *array.shape)
    return head + lengths + array.astype(f">{code}").tobytes()


def write_idx(path, array, code="u1", *, packed=False):
    content = idx_bytes(array, code)
    path.write_bytes(gzip.compress(content) if packed else content)


@pytest.fixture
def mnist(tmp_path):
    """A folder of small IDX files, test and train, compressed and not."""
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", pixels, packed=True)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([1, 0]))
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((5, 3, 4)))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(5))
    return tmp_path


def test_the_test_set_is_taken(mnist):
    data = read_data(mnist)
    assert data.take([0, 1]).ravel().tolist() == list(range(24))
    assert data.labels.tolist() == [1, 0]
    assert data.format == "idx"
    assert any("not used: train" in note for note in data.notes)


def test_a_file_of_the_train_set_can_be_named(mnist):
    data = read_data(mnist / "train-images-idx3-ubyte")
    assert (data.shape, data.labels.tolist()) == ((5, 3, 4), [0] * 5)
    assert isinstance(data.rows, np.memmap)


def test_a_train_set_alone_is_taken(mnist):
    for file in mnist.glob("t10k*"):
        file.unlink()
    assert len(read_data(mnist)) == 5


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("packed", [True, False])
def test_every_type_of_number(tmp_path, code, packed):
    numbers = np.arange(12).reshape(3, 4)
    name = "test-images-idx2-ubyte" + (".gz" if packed else "")
    write_idx(tmp_path / name, numbers, code, packed=packed)
    assert read_data(tmp_path).take(range(3)).tolist() == numbers.tolist()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"0",
        lambda content: content[:6],
        lambda content: b"\x89PNG" + content[4:],
        lambda content: content[:2] + b"\x07" + content[3:],
        lambda content: b"",
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_damaged_idx_files_are_refused(tmp_path, damage, packed):
    content = damage(idx_bytes(np.ones((3, 4)), "u1"))
    name = "test-images-idx2-ubyte" + (".gz" if packed else "")
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match="cannot read"):
        read_data(tmp_path)


def test_damaged_compression_is_refused(tmp_path):
    whole = gzip.compress(idx_bytes(np.arange(999), "i4"))
    (tmp_path / "test-images-idx1-ubyte.gz").write_bytes(whole[:-20])
    with pytest.raises(DataError, match="cannot read"):
        read_data(tmp_path)
    (tmp_path / "test-images-idx1-ubyte.gz").write_bytes(b"not compressed at all")
    with pytest.raises(DataError, match="cannot read"):
        read_data(tmp_path)


def test_labels_of_another_number_are_refused(tmp_path):
    write_idx(tmp_path / "test-images-idx3-ubyte", np.zeros((3, 2, 2)))
    write_idx(tmp_path / "test-labels-idx1-ubyte", np.zeros(4))
    with pytest.raises(DataError, match=r"shape is \[4\], and there are 3 inputs"):
        read_data(tmp_path)


def test_several_test_sets_are_refused(tmp_path):
    for letter in "ab":
        write_idx(tmp_path / f"{letter}-test-images-idx2-ubyte", np.zeros((3, 2)))
    with pytest.raises(DataError, match=r"2 images files.*a-test, b-test"):
        read_data(tmp_path)


def save_image(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, dtype=np.uint8)).convert(mode).save(path)


def test_colour_images_come_channels_first(tmp_path):
    pixels = np.arange(4 * 5 * 3).reshape(4, 5, 3)
    save_image(tmp_path / "a.png", pixels)
    data = read_data(tmp_path)
    assert data.shape == (1, 3, 4, 5)
    assert (data.take([0])[0] == pixels.transpose(2, 0, 1)).all()
    assert (data.names, data.labels) == (("a.png",), None)


def test_subfolders_are_classes(tmp_path):
    for folder, value in (("zebra", 9), ("ant", 1), ("ant", 2)):
        save_image(tmp_path / folder / f"{value}.png", np.full((2, 2), value))
    data = read_data(tmp_path)
    assert data.labels.tolist() == [0, 0, 1]
    assert data.class_names == ("ant", "zebra")
    assert data.names == ("ant/1.png", "ant/2.png", "zebra/9.png")
    assert data.take([2, 0])[:, 0, 0].tolist() == [9.0, 1.0]


def test_numbered_subfolders_are_these_numbers(tmp_path):
    for folder in ("10", "2"):
        save_image(tmp_path / folder / "a.png", np.zeros((2, 2)))
    assert read_data(tmp_path).labels.tolist() == [10, 2]


def test_other_sizes_are_refused_with_both(tmp_path):
    save_image(tmp_path / "a.png", np.zeros((4, 4)))
    save_image(tmp_path / "b.png", np.zeros((4, 5)))
    with pytest.raises(DataError, match=r"b.png: its size is \[4, 5\].*\[4, 4\]"):
        read_data(tmp_path)
    network = from_layers([(np.ones((2, 9)), None)])
    with pytest.raises(ShapeError, match="16 numbers and an input 9"):
        read_data(tmp_path, network)


def test_other_pixels_are_refused(tmp_path):
    save_image(tmp_path / "a.png", np.zeros((4, 4, 4)), "RGBA")
    with pytest.raises(DataError, match="RGBA"):
        read_data(tmp_path)


def test_damaged_images_are_refused(tmp_path):
    save_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (40, 40)))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:500])
    with pytest.raises(DataError, match=r"cannot read .*b.png"):
        read_data(tmp_path)


def test_mixed_depths_are_refused(tmp_path):
    save_image(tmp_path / "a.png", np.zeros((4, 4)))
    save_image(tmp_path / "class" / "b.png", np.zeros((4, 4)))
    with pytest.raises(DataError, match=r"\[1, 2\] levels deep"):
        read_data(tmp_path)


def test_folders_with_nothing_usable_are_refused(tmp_path):
    with pytest.raises(DataError, match="it is empty"):
        read_data(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match=r"none of the 1 things.*notes.txt"):
        read_data(tmp_path)

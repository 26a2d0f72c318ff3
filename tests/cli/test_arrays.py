"""Files with a row an input."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from relulens.cli.arrays import check_out, write_rows
from relulens.errors import InvalidArgumentError


def batches(sizes):
    start = 0
    for size in sizes:
        rows = np.arange(start, start + size)
        yield {
            "row": rows,
            "slope": np.arange(size * 6.0).reshape(size, 2, 3) + start,
            "status": np.array(["ok"] * size, dtype=np.str_),
        }
        start += size


@pytest.mark.parametrize("sizes", [(3, 2), (1,), (0,)])
@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_rows_come_back(tmp_path, sizes, ending):
    path = tmp_path / f"out{ending}"
    assert write_rows(path, batches(sizes)) == sum(sizes)
    parts = list(batches(sizes))
    expected = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    if ending == ".npz":
        with np.load(path) as found:
            for name, values in expected.items():
                assert np.array_equal(found[name], values)
    else:
        table = pq.read_table(path)
        slopes = np.array(table["slope"].to_pylist()).reshape(-1, 2, 3)
        assert np.array_equal(slopes, expected["slope"])
        assert table["status"].to_pylist() == expected["status"].tolist()
        assert table.schema.metadata[b"slope"] == b"[2, 3]"
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def interrupted():
    yield next(batches((2,)))
    raise KeyboardInterrupt


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_an_interruption_leaves_no_file(tmp_path, ending):
    with pytest.raises(KeyboardInterrupt):
        write_rows(tmp_path / f"out{ending}", interrupted())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.txt", "a", "missing/a.npz"])
def test_a_file_that_cannot_be_written_is_refused_before_any_work(tmp_path, name):
    with pytest.raises(InvalidArgumentError, match="cannot write"):
        check_out(str(tmp_path / name), overwrite=False)


def test_a_file_that_is_there_is_replaced_only_if_asked(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(b"mine")
    with pytest.raises(InvalidArgumentError, match="--overwrite"):
        check_out(str(path), overwrite=False)
    assert check_out(str(path), overwrite=True) == path

"""Reading Parquet and CSV tables."""

import numpy as np
import pandas as pd
import pytest

from relulens.data.read import read_data
from relulens.errors import DataError, NotFiniteError, ShapeError
from relulens.importers.layers import from_layers


@pytest.fixture(params=["csv", "parquet"])
def write(request, tmp_path):
    """Write a table in one of the two formats and return its path."""

    def written(frame):
        path = tmp_path / f"table.{request.param}"
        if request.param == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
        return path

    return written


def frame(**more):
    return pd.DataFrame({"a": [1.5, 2.0, 3.0], "b": [4, 5, 6], **more})


@pytest.mark.parametrize("name", ["label", "Y", "Target", "class"])
def test_the_label_column_is_known_by_its_name(write, name):
    data = read_data(write(frame(**{name: [0, 1, 1]})))
    assert data.take(range(3)).tolist() == [[1.5, 4.0], [2.0, 5.0], [3.0, 6.0]]
    assert data.labels.tolist() == [0, 1, 1]


def test_label_names_another_column(write):
    path = write(frame(kind=[2, 0, 1]))
    assert read_data(path, label="kind").labels.tolist() == [2, 0, 1]
    assert read_data(path).shape == (3, 3)
    with pytest.raises(DataError, match=r"no column 'sort'.*kind int64"):
        read_data(path, label="sort")


def test_two_label_columns_are_refused(write):
    path = write(frame(y=[0, 1, 1], target=[0, 1, 1]))
    with pytest.raises(DataError, match="2 columns could be the label"):
        read_data(path)
    assert read_data(path, label="y").shape == (3, 3)


def test_columns_of_words_are_left_out_and_said(write):
    data = read_data(write(frame(remark=["x", "y", "z"], id=[7, 8, 9])))
    assert data.shape == (3, 2)
    assert data.names == ("7", "8", "9")
    assert any("columns remark" in note for note in data.notes)
    assert any("column id names the rows" in note for note in data.notes)


def test_booleans_are_numbers(write):
    data = read_data(write(frame(on=[True, False, True])))
    assert data.take([0, 1])[:, 2].tolist() == [1.0, 0.0]


def test_missing_numbers_are_refused(write):
    with pytest.raises(NotFiniteError, match="first in row 1"):
        read_data(write(pd.DataFrame({"a": [1.0, np.nan, 2.0]})))


def test_missing_labels_are_refused(write):
    missing = pd.array([1, None, 0], dtype="Int64")
    with pytest.raises(DataError, match="1 of its 3 values are missing"):
        read_data(write(frame(label=missing)))


def test_tables_without_numbers_are_refused(write):
    with pytest.raises(DataError, match="0 of its 1 columns"):
        read_data(write(pd.DataFrame({"a": ["x", "y"]})))


def test_a_label_read_as_a_feature_is_hinted_at(write):
    network = from_layers([(np.ones((2, 2)), None)])
    with pytest.raises(ShapeError, match="name the label column"):
        read_data(write(frame(kind=[0, 1, 1])), network)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_damaged_tables_are_refused(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot read"):
        read_data(path)
    path.write_bytes(b'a,b\n1,2\n3\n"' if suffix == "csv" else b"PAR1 nothing")
    with pytest.raises(DataError, match="cannot read"):
        read_data(path)

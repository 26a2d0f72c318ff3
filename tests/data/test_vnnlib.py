"""Property files: what they say, and constructs that are named when refused."""

import numpy as np
import pytest

import relulens as rl
from relulens.errors import DataError, PropertyError

HEAD = """; a comment
(declare-const X_0 Real)
(declare-fun X_1 () Real)
(declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (<= X_0 0.5)) (assert (>= X_0 -0.5))
(assert (and (<= X_1 1e0) (>= X_1 (- 1.0))))
"""


def read(tmp_path, text):
    path = tmp_path / "property.vnnlib"
    path.write_text(HEAD + text)
    return rl.read_property(path)


def test_a_box_and_conditions(tmp_path):
    found = read(tmp_path, "(assert (<= Y_0 (+ (* 2.0 Y_1) 3)))\n(assert (>= Y_0 1))")
    (case,) = found.cases
    assert case.low.tolist() == [-0.5, -1.0]
    assert case.high.tolist() == [0.5, 1.0]
    assert case.rows.tolist() == [[1.0, -2.0], [-1.0, 0.0]]
    assert case.right.tolist() == [3.0, -1.0]


def test_alternatives_of_outputs_and_of_inputs(tmp_path):
    found = read(
        tmp_path,
        "(assert (or (and (<= X_0 0.25) (>= Y_0 Y_1)) (and (>= X_0 0.3) (<= Y_0 0))))\n"
        "(assert (or (<= Y_1 1) (<= Y_1 2)))",
    )
    assert len(found.cases) == 4
    assert sorted({float(case.high[0]) for case in found.cases}) == [0.25, 0.5]


def test_empty_boxes_and_false_constants_leave_no_case(tmp_path):
    assert read(tmp_path, "(assert (>= X_0 2))").cases == ()
    assert read(tmp_path, "(assert (<= 1.0 0.0))").cases == ()
    assert len(read(tmp_path, "(assert (<= 0.0 1.0))").cases) == 1


@pytest.mark.parametrize(
    ("text", "construct", "line"),
    [
        ("(assert (< Y_0 1))", "(< Y_0 1)", 7),
        ("(assert (<= (* Y_0 Y_1) 1))", "(* Y_0 Y_1)", 7),
        ("(assert (=> (<= Y_0 1) (<= Y_1 1)))", "(=> (<= Y_0 1) (<= Y_1 1))", 7),
        ("\n(declare-const Z Real)", "Z", 8),
        ("(assert (<= Y_7 1))", "Y_7", 7),
        ("(assert (<= X_0 Y_0))", "X_0 Y_0", 0),
        ("(assert (<= (+ X_0 X_1) 1))", "X_0 X_1", 0),
        ("(push 1)", "(push 1)", 7),
        ("(assert (<= Y_0 1)", "(", 7),
        ("hello", "hello", 7),
        ("(declare-const X_2 Real)", "X_2", 0),
        ("(declare-const X_3 Real)", "X_i", 0),
    ],
)
def test_what_is_not_supported_is_named(tmp_path, text, construct, line):
    with pytest.raises(PropertyError) as refused:
        read(tmp_path, text)
    assert refused.value.construct == construct
    assert refused.value.line == line


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(DataError, match="No such file or directory"):
        rl.read_property(tmp_path / "missing.vnnlib")
    (tmp_path / "packed.vnnlib").write_bytes(b"(assert \xff)")
    with pytest.raises(DataError, match="byte 8 is no text"):
        rl.read_property(tmp_path / "packed.vnnlib")


def test_too_many_cases_are_refused(tmp_path):
    many = "\n".join("(assert (or (<= Y_0 1) (<= Y_1 1)))" for _ in range(17))
    with pytest.raises(PropertyError, match="100,000"):
        read(tmp_path, many)


def test_numbers_are_read_exactly(tmp_path):
    (case,) = read(tmp_path, "(assert (<= (* 3 Y_0) 0.3))").cases
    assert np.isclose(case.right[0], 0.3)

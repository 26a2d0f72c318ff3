"""Gates on summary numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relulens.cli.gate import parse_gate, summary_numbers
from relulens.errors import InvalidArgumentError

SUMMARY = {
    "accuracy": 0.95,
    "inputs": 20,
    "title": "words are no numbers",
    "medians": {"margin": 3.5, "boundary_distance": None},
}


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("accuracy<0.9", False),
        ("accuracy<0.96", True),
        ("accuracy <= 0.95", True),
        ("accuracy>=0.96", False),
        ("inputs==20", True),
        ("inputs!=20", False),
        ("medians.margin>3", True),
        ("medians.margin>1e3", False),
    ],
)
def test_a_gate_fails_where_its_comparison_holds(text, fails):
    failure = parse_gate(text).failure(summary_numbers(SUMMARY))
    assert (failure is not None) == fails


@given(value=st.floats(-5, 5), number=st.floats(-5, 5))
def test_a_comparison_and_its_opposite_never_agree(value, number):
    numbers = {"a": value}
    for one, other in (("<", ">="), (">", "<="), ("==", "!=")):
        first = parse_gate(f"a{one}{number!r}").failure(numbers)
        second = parse_gate(f"a{other}{number!r}").failure(numbers)
        assert (first is None) != (second is None)


@pytest.mark.parametrize("comparison", ["<", ">", "==", "!="])
def test_a_number_that_was_not_computed_does_not_pass(comparison):
    gate = parse_gate(f"medians.boundary_distance{comparison}0")
    assert "not computed" in gate.failure(summary_numbers(SUMMARY))


@pytest.mark.parametrize(
    "text", ["", "accuracy", "accuracy<", "<0.9", "accuracy<nan", "a < b", "a=1"]
)
def test_what_is_no_comparison_is_refused(text):
    with pytest.raises(InvalidArgumentError, match="--fail-on"):
        parse_gate(text)


def test_an_unknown_number_is_refused_with_the_nearest():
    with pytest.raises(InvalidArgumentError, match="accuracy"):
        parse_gate("acuracy<0.9").failure(summary_numbers(SUMMARY))

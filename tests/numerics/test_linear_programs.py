import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from relulens.numerics.linear_programs import Inequalities

SQUARE = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])


def test_worked_example() -> None:
    found = Inequalities(SQUARE, np.array([1.0, 0.0, 2.0, 0.0]))
    best = found.maximise(np.array([1.0, 1.0]))
    assert (best.status, best.value) == ("optimal", 3.0)
    assert best.point.tolist() == [1.0, 2.0]
    found.add(np.array([1.0, 1.0]), 2.0)
    assert found.maximise(np.array([1.0, 1.0])).value == 2.0
    found.remove_last()
    found.set_right(0, 5.0)
    assert found.maximise(np.array([1.0, 1.0])).value == 7.0
    assert len(found) == 4


def test_unbounded_and_infeasible() -> None:
    half = Inequalities(SQUARE[:1], np.array([1.0]))
    assert half.maximise(np.array([-1.0, 0.0])).status == "unbounded"
    assert half.maximise(np.array([1.0, 0.0])).value == 1.0
    none = Inequalities(SQUARE, np.array([-1.0, 0.0, 1.0, 1.0]))
    assert none.maximise(np.array([1.0, 0.0])).status == "infeasible"


@given(st.integers(0, 100_000))
def test_values_are_those_of_another_solver(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.integers(-3, 4, (8, 3)).astype(float)
    right = generator.integers(-1, 5, 8).astype(float)
    cost = generator.integers(-3, 4, 3).astype(float)
    found = Inequalities(rows, right).maximise(cost)
    wanted = linprog(-cost, A_ub=rows, b_ub=right, bounds=[(None, None)] * 3)
    names = {0: "optimal", 2: "infeasible", 3: "unbounded"}
    if wanted.status in names:
        assert found.status == names[wanted.status]
    if wanted.status == 0:
        assert found.value == pytest.approx(-wanted.fun, abs=1e-7)

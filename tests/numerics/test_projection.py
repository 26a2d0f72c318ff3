import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from relulens.numerics.projection import nearest_point


def test_worked_examples() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert np.allclose(nearest_point(rows, np.array([3.0, 4.0])), [3.0, 4.0])
    assert np.allclose(nearest_point(rows, np.array([3.0, -4.0])), [3.0, 0.0])
    assert np.allclose(nearest_point(rows, np.array([3.0, -4.0]), equal=1), [3.0, -4.0])
    assert np.allclose(nearest_point(rows, np.array([-3.0, -4.0])), [0.0, 0.0])
    both = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert nearest_point(both, np.array([1.0, 1.0])) is None


@given(st.integers(0, 10_000))
def test_no_point_of_the_polyhedron_is_nearer(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal((5, 3))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    right = generator.standard_normal(5)
    found = nearest_point(rows, right)
    limits = {"type": "ineq", "fun": lambda d: rows @ d - right, "jac": lambda d: rows}
    wanted = minimize(
        lambda d: d @ d / 2, np.zeros(3), jac=lambda d: d, constraints=[limits]
    )
    if found is None:
        assert not wanted.success or (rows @ wanted.x - right).min() < -1e-6
        return
    assert (rows @ found >= right - 1e-9).all()
    if wanted.success:
        assert np.linalg.norm(found) <= np.linalg.norm(wanted.x) + 1e-5

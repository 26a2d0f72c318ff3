import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from relulens.numerics.largest_singular import largest_singular


@given(st.integers(0, 10_000))
def test_values_and_residuals(seed: int) -> None:
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal((12, 9))
    found = largest_singular(lambda v: matrix @ v, lambda w: matrix.T @ w, (12, 9), 3)
    wanted = np.linalg.svd(matrix, compute_uv=False)
    assert np.allclose(found.values, wanted[:3], rtol=1e-10)
    assert (np.abs(found.values - wanted[:3]) <= found.residual + 1e-12).all()


def test_a_zero_matrix() -> None:
    found = largest_singular(lambda v: 0 * v, lambda w: 0 * w, (5, 5), 2)
    assert not found.values.any()
    assert not found.residual.any()

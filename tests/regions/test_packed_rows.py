"""Packed rows give back the numbers they were made of."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from relulens.regions.packed_rows import PackedRows


@given(
    st.integers(0, 9), st.integers(0, 20), st.integers(0, 1000), st.integers(0, 2**32)
)
def test_numbers_come_back_in_any_order(rows, columns, most, seed):
    generator = np.random.default_rng(seed)
    numbers = generator.integers(0, most + 1, (rows, columns))
    packed = PackedRows.of(numbers)
    chosen = generator.integers(0, rows, 15) if rows else np.zeros(0, int)
    assert (packed[chosen] == numbers[chosen]).all()
    bits = int(numbers.max(initial=0)).bit_length()
    assert packed.nbytes == bits * rows * -(-columns // 8)

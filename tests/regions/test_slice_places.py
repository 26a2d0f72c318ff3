"""Vertices that floats place badly: zeros of functions of nearly constant value."""

from fractions import Fraction

import pytest
import torch

import relulens as rl

LINES = [k / 7 for k in range(1, 7)]
SIDES = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
THIRD, SMALL = 1 / 3, 2.0**-28


def network(*, late):
    """Return a network with a unit of less than 1e-16 all along the side t = 0.

    It is t + fl(1/3) (3 s + 1) - s - fl(1/3) + 2^-55, which floats lose there. Six
    lines cross the side in the same layer, or before.
    """
    first = [[3.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    bias = [1.0, 0.0, 1.0, SMALL, 0.0]
    unit = [THIRD, -1.0, -THIRD, 2 * SMALL, 1.0]
    if late:
        rows = [unit, *[[0.0, 1.0, 0.0, 0.0, 0.0]] * 6]
        last = (rows, [0.0, *(-line for line in LINES)])
        return rl.from_layers([(first, bias), last, ([[1.0] * 7], None)])
    first, bias = first + [[1.0, 0.0]] * 6, bias + [-line for line in LINES]
    return rl.from_layers([
        (first, bias), ([unit + [0.0] * 6], None), ([[1.0]], None),
    ])  # fmt: skip


def zero_on_the_side():
    """Return where the unit is zero on the side, in fractions."""
    slope = 3 * Fraction(THIRD) - 1
    return -2 * Fraction(SMALL) ** 2 / slope


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("options", [{}, {"budget": 1e6}])
def test_a_unit_that_is_zero_but_for_rounding_along_a_side(late, options):
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    found = rl.slice_partition(network(late=late), plane, SIDES, **options)
    at = zero_on_the_side()
    # Seven strips; from the zero on, a sliver of each strip is on its other side.
    assert found.count == 7 + 1 + sum(line > at for line in LINES)
    certificate = found.certificate
    assert certificate.euler == 1
    assert certificate.undecided_signs == 0
    # A bound on every place, and with it the places themselves, is what is mended.
    assert certificate.largest_error < 1e-9
    side = found.vertices[found.vertices[:, 1] < 1e-9, 0].unique()
    wanted = torch.tensor([0.0, *LINES, float(at), 1.0], dtype=torch.float64)
    apart = (side[:, None] - wanted).abs()
    assert apart.amin(1).max() < 1e-9
    assert apart.amin(0).max() < 1e-9

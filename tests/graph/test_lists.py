"""Plain lists of numbers lose nothing on their way in."""

import relulens as rl


def test_lists_are_read_in_float64():
    network = rl.from_layers([([[0.1]], [0.2])])
    assert float(rl.evaluate(network, [[0.1]])) == 0.1 * 0.1 + 0.2

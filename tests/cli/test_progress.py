"""Progress, and an interrupt that a library swallowed."""

import signal

import pytest

from relulens.cli.progress import progress


def test_an_interrupt_that_was_swallowed_is_raised_by_the_next_report():
    before = signal.getsignal(signal.SIGINT)
    with progress("none", "work") as report:
        report(0, 2)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            report(1, 2)
    assert signal.getsignal(signal.SIGINT) is before


def test_json_lines_say_how_far(capsys):
    with progress("json", "work") as report:
        report(2, 2)
    assert '"done": 2' in capsys.readouterr().err

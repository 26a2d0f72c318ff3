"""Progress, and an interrupt that a library swallowed."""

import signal

import pytest

from relulens.cli.progress import progress


@pytest.fixture
def listening():
    # a test run in the background is started with interrupts ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_was_swallowed_is_raised_by_the_next_report(listening):
    with progress("none", "work") as report:
        report(0, 2)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            report(1, 2)
    assert signal.getsignal(signal.SIGINT) is listening


def test_ignored_interrupts_stay_ignored(listening):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with progress("none", "work") as report:
        signal.raise_signal(signal.SIGINT)
        report(1, 2)


def test_json_lines_say_how_far(capsys):
    with progress("json", "work") as report:
        report(2, 2)
    assert '"done": 2' in capsys.readouterr().err

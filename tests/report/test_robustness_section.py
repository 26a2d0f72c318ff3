"""The section on how far a change carries, on networks where it is known."""

import numpy as np
import pytest
import torch

from relulens.graph.domain import Box
from relulens.importers.layers import from_layers
from relulens.report.report import report

X = np.array([[0.9, 0.1], [0.2, 0.7], [0.6, 0.5]])


def made(folder, network, x=X, **options):
    return report(network, x, out=folder / "r", sections=["robustness"], **options)


def sentences(found):
    return " ".join(found.summary["sections"]["robustness"]["sentences"])


def page(found):
    return (found.path / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def linear():
    """Classes are the inputs themselves: the class turns where they are equal."""
    return from_layers([(np.eye(2), None), (np.eye(2), None)], domain=Box(0, 1))


def test_what_is_certified_is_what_half_the_difference_allows(tmp_path, linear):
    found = made(tmp_path, linear)
    # half the differences are .4, .25 and .05: two of three last at 0.1 and beyond
    assert "66.7 % of 3 inputs provably keep their class" in sentences(found)
    assert "moves by at most 0.1," in sentences(found)
    assert "no output changes by more than 1 times" in sentences(found)


def test_one_entry_turns_every_input(tmp_path, linear):
    found = made(tmp_path, linear)
    assert "turns the class of 3 inputs of 3 attacked" in sentences(found)
    assert "Changing 1 entry (median; fewest 1)" in sentences(found)


def test_a_single_output_has_no_classes_to_turn(tmp_path):
    network = from_layers([(np.eye(2), None), (np.ones((1, 2)), None)])
    assert "There are no predictions" in sentences(made(tmp_path, network))


def test_pictures_are_left_out_of_a_sensitive_report(tmp_path):
    torch.manual_seed(0)
    layers = [(torch.randn(8, 9), None), (torch.randn(3, 8), None)]
    network = from_layers(layers, domain=Box(0, 1))
    x = np.random.default_rng(0).random((3, 9))
    shown = page(made(tmp_path, network, x, overwrite=True))
    hidden = page(made(tmp_path, network, x, sensitive=True, overwrite=True))
    assert "Turned by the fewest changes" in shown
    assert "Turned by the fewest changes" not in hidden

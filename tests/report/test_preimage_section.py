"""The section on what layers forget says what the survey found, and no more."""

import json

import numpy as np
import pytest

import relulens as rl
from relulens.importers.layers import from_layers
from relulens.report.report import report

# entries 0 and 1 are read both ways, entry 2 only where it is positive
ROWS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]], float)
X = np.array([[1.0, 2.0, 3.0], [1.0, -2.0, -3.0], [2.0, 1.0, -4.0]])


def made(folder, *, domain=None, sensitive=False):
    layers = [(ROWS, None), (np.ones((2, 5)), None)]
    network = from_layers(layers, domain=domain)
    return report(
        network, X, out=folder / "r", sections=["preimage"], sensitive=sensitive
    )


def said(found):
    return found.summary["sections"]["preimage"]


def page(found):
    return (found.path / "index.html").read_text(encoding="utf-8")


def test_the_shares_are_those_of_the_survey(tmp_path):
    found = made(tmp_path, domain=rl.Box(-5, 5))
    first, naive = said(found)["sentences"][:2]
    assert "determines 1 of 3 inputs among all inputs in the domain" in first
    assert "for 2 here is a twin" in first
    assert "would say 1 of 3" in naive
    assert "undecided" not in first
    assert page(found).count("twin of input") >= 2
    assert found.summary["complete"]


def test_without_a_domain_that_is_said(tmp_path):
    found = made(tmp_path)
    assert "has no domain" in said(found)["undone"]
    assert "in the domain" not in " ".join(said(found)["sentences"])


@pytest.mark.parametrize("domain", [None, rl.Box(-5, 5)])
def test_a_sensitive_report_shows_no_pictures(tmp_path, domain):
    found = made(tmp_path, domain=domain, sensitive=True)
    assert "determines 1 of 3" in said(found)["sentences"][0]
    assert "data:image/png" not in page(found)
    assert "twin of input" not in page(found)


def test_the_summary_is_plain_json(tmp_path):
    found = made(tmp_path, domain=rl.Box(-5, 5))
    assert json.loads((found.path / "summary.json").read_text()) == found.summary

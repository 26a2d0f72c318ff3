"""The section on linear regions, on networks where they can be counted by hand."""

import numpy as np

from relulens.graph.domain import Box
from relulens.importers.layers import from_layers
from relulens.report.report import report

X = np.array([[1.0, 1.0], [-1.0, 1.0], [0.0, -2.0], [1.0, 0.5]])


def made(folder, network, x=X, **options):
    return report(network, x, out=folder / "r", sections=["pieces"], **options)


def sentences(found):
    return " ".join(found.summary["sections"]["pieces"]["sentences"])


def network(domain=None):
    """Units are on right of and above the origin; the class is which is larger."""
    return from_layers([(np.eye(2), None), (np.eye(2), None)], domain=domain)


def test_two_lines_cut_the_triangle_into_four(tmp_path):
    found = made(tmp_path, network())
    assert "cut into 4 linear regions" in sentences(found)
    assert "1.05 times their triangle" in sentences(found)
    assert "2 classes meet there" in sentences(found)
    assert '<div class="cells">' in (found.path / "index.html").read_text("utf-8")


def test_inputs_that_share_a_region_are_counted(tmp_path):
    found = made(tmp_path, network())
    assert "4 inputs lie in 3 regions" in sentences(found)
    assert "the fullest holds 2 inputs" in sentences(found)


def test_two_inputs_make_no_plane(tmp_path):
    found = made(tmp_path, network(), X[:2])
    assert "and there are 2: no slice was cut" in sentences(found)


def test_inputs_on_a_line_make_no_plane(tmp_path):
    line = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    assert "No slice was cut: cannot" in sentences(made(tmp_path, network(), line))


def test_templates_are_left_out_of_a_sensitive_report(tmp_path):
    wide = from_layers([(np.ones((3, 25)), None), (np.eye(3), None)], domain=Box(-9, 9))
    x = np.random.default_rng(0).normal(size=(3, 25))

    def page(**options):
        found = made(tmp_path, wide, x, overwrite=True, **options)
        return (found.path / "index.html").read_text("utf-8")

    assert "template of the class in this cell" in page()
    assert "template of the class in this cell" not in page(sensitive=True)

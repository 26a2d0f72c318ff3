"""What the section on margins says of distances that are only bounds."""

from dataclasses import replace

import pytest
from networks import NETWORKS

from relulens.report import report as engine
from relulens.report.report import report
from relulens.report.sections import SECTIONS


@pytest.fixture
def context(tmp_path, monkeypatch):
    kept = []
    original = engine.built

    def spy(section, context):
        kept.append(context)
        return original(section, context)

    monkeypatch.setattr(engine, "built", spy)
    report(*NETWORKS["max_pool"](), out=tmp_path / "r", sections=["margins"])
    return kept[0]


def words(context) -> str:
    return " ".join(SECTIONS["margins"].build(context).sentences)


def test_distances_of_an_unfinished_search_are_called_lower_bounds(context):
    samples = context.samples.copy()
    samples["boundary_complete"] = [True, False, False, True]
    said = words(replace(context, samples=samples))
    assert "For 2 inputs of 4" in said
    assert "lower bounds, not exact" in said


def test_finished_distances_are_not(context):
    samples = context.samples.copy()
    samples["boundary_complete"] = True
    assert "lower bounds, not exact" not in words(replace(context, samples=samples))

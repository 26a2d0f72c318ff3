"""The report's engine: folder, tables, provenance, resuming, refusals."""

import html
import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from networks import NETWORKS

import relulens as rl
from relulens.data.read import array_data, read_data
from relulens.errors import (
    DataError,
    InvalidArgumentError,
    NotFiniteError,
    OutputFolderError,
    ShapeError,
)
from relulens.graph.domain import Box
from relulens.importers.layers import from_layers
from relulens.report.building import built
from relulens.report.columns import LAYER_COLUMNS, SAMPLE_COLUMNS
from relulens.report.report import report
from relulens.report.section import Section, SectionContent
from relulens.report.sections import SECTIONS

FILES = {"index.html", "samples.parquet", "layers.parquet", "summary.json", "survey"}


@pytest.fixture(scope="module")
def case():
    network, x = NETWORKS["max_pool"]()
    return network, x, np.arange(len(x)) % 3


@pytest.fixture(scope="module")
def made(tmp_path_factory, case):
    """A whole report; no test changes it."""
    return report(*case, out=tmp_path_factory.mktemp("whole") / "r")


def test_a_report_is_a_page_and_three_tables(made):
    assert {path.name for path in made.path.iterdir()} == FILES
    page = (made.path / "index.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert len(page) < 5_000_000
    for section in SECTIONS.values():
        assert section.title in page
    assert not list(made.path.rglob("*.tmp-*"))
    samples = pd.read_parquet(made.path / "samples.parquet")
    assert len(samples) == 4
    assert samples["boundary_distance"].tolist() == (
        made.samples["boundary_distance"].tolist()
    )
    assert json.loads((made.path / "summary.json").read_text()) == made.summary


def test_every_column_is_explained(made):
    assert list(made.samples) == list(SAMPLE_COLUMNS)
    assert list(made.layers) == list(LAYER_COLUMNS)


def test_the_summary_says_what_was_found(made, case):
    summary = made.summary
    assert summary["schema"] == "relulens report 1"
    assert summary["inputs"] == 4
    predicted = rl.evaluate(case[0], case[1]).argmax(1).numpy()
    assert summary["accuracy"] == (predicted == case[2]).mean()
    assert (summary["failed_samples"], summary["complete"]) == (0, True)
    assert list(summary["sections"]) == list(SECTIONS)
    assert all(s["sentences"] for s in summary["sections"].values())
    for name, middle in summary["medians"].items():
        assert middle == pytest.approx(made.samples[name].median())


def test_provenance_has_hashes_versions_and_options(made, case):
    origin = made.summary["provenance"]
    assert re.fullmatch("[0-9a-f]{64}", origin["network"]["sha256"])
    assert origin["data"]["sha256"] == array_data(*case[1:]).sha256
    assert origin["versions"]["torch"] == torch.__version__
    assert {"relulens", "numpy", "python"} <= set(origin["versions"])
    assert origin["network"]["dtype"] == "float64"
    assert origin["network"]["unsafe"] is False
    assert origin["options"]["seed"] == 0
    page = (made.path / "index.html").read_text(encoding="utf-8")
    assert origin["network"]["sha256"] in page
    assert origin["data"]["sha256"] in page


def test_the_layers_table_counts_units(made, case):
    network, x, _ = case
    relu = rl.evaluate(network, x, layer="relu").flatten(1) > 0
    line = made.layers.iloc[0]
    assert (line["layer"], line["name"], line["units"]) == (0, "relu", 72)
    assert line["inputs"] == 4
    assert line["dead_units"] == int((~relu.any(0)).sum())
    assert line["always_active_units"] == int(relu.all(0).sum())
    assert line["active_fraction"] == pytest.approx(float(relu.double().mean()))
    assert pd.isna(made.layers["dead_units"][1])
    last = made.layers.iloc[-1]
    assert (last["layer"], last["name"], last["units"]) == (-1, "output", 3)
    assert last["spectrum_inputs"] == 3
    median = made.samples["slope_largest"][:3].median()
    assert last["after_largest"] == pytest.approx(median)


def test_the_same_call_continues_and_changes_nothing(made, case):
    parts = {p: p.stat().st_mtime_ns for p in made.path.rglob("part-*")}
    seen = []
    again = report(*case, out=made.path, progress=lambda *counts: seen.append(counts))
    assert not seen
    assert {p: p.stat().st_mtime_ns for p in parts} == parts
    pd.testing.assert_frame_equal(again.samples, made.samples)
    pd.testing.assert_frame_equal(again.layers, made.layers)


def test_budget_zero_gives_a_page_with_nulls_and_the_way_on(case, tmp_path):
    empty = report(*case, out=tmp_path / "r", budget=0)
    assert empty.samples["boundary_distance"].isna().all()
    assert empty.samples["prediction"].isna().all()
    assert empty.samples["label"].tolist() == case[2].tolist()
    status = set(empty.samples["slope_status"])
    assert status == {"not reached: the budget of 0 s"}
    assert empty.summary["complete"] is False
    undone = [s["undone"] for s in empty.summary["sections"].values()]
    assert any(undone)
    page = (empty.path / "index.html").read_text(encoding="utf-8")
    assert empty.summary["provenance"]["command"].split("(")[0] in page
    full = report(*case, out=tmp_path / "r", budget=None)
    assert full.summary["complete"] is True
    assert not full.samples["boundary_distance"].isna().any()


def test_long_sections_are_left_out_when_the_time_is_up():
    def never(context):
        raise AssertionError

    def context(left):
        return SimpleNamespace(seconds_left=lambda: left)

    def section(seconds, build):
        return Section(
            name="long",
            title="",
            questions=(),
            seconds=seconds,
            bytes_=0,
            build=build,
        )

    undone = built(section(20, never), context(19.0)).undone
    assert undone is not None
    assert "19 s of the budget are left and it may take 20 s" in undone
    content = SectionContent(sentences=("so",), check="")
    assert built(section(20, lambda _: content), context(21.0)) is content
    assert built(section(2, lambda _: content), context(0.0)) is content


def test_infinite_budgets_are_none(case, tmp_path):
    made = report(*case, out=tmp_path / "r", sections=["data"], budget=float("inf"))
    assert made.summary["provenance"]["options"]["budget"] is None
    with pytest.raises(InvalidArgumentError):
        report(*case, out=tmp_path / "s", budget=-1)
    with pytest.raises(InvalidArgumentError):
        report(*case, out=tmp_path / "s", budget=float("nan"))


def test_sections_choose_the_questions(case, tmp_path):
    made = report(*case, out=tmp_path / "r", sections=["overview", "data"])
    assert list(made.summary["sections"]) == ["overview", "data"]
    assert "boundary_distance" not in made.samples
    assert not (made.path / "survey" / "boundary").exists()
    with pytest.raises(InvalidArgumentError, match=r"'margin'.*margins"):
        report(*case, out=tmp_path / "s", sections=["margin"])
    assert not (tmp_path / "s").exists()


def test_no_inputs_still_give_a_page(case, tmp_path):
    made = report(case[0], out=tmp_path / "r")
    assert made.summary["inputs"] == 0
    assert made.summary["accuracy"] is None
    assert list(made.samples) == list(SAMPLE_COLUMNS)
    assert len(made.samples) == 0
    empty = np.empty((0, 1, 6, 6))
    assert report(case[0], empty, out=tmp_path / "s", sections=["data"]).path.exists()


def test_samples_are_a_seeded_subset(case, tmp_path):
    options = {"samples": 2, "seed": 3, "sections": ["data"]}
    first = report(*case, out=tmp_path / "a", **options)
    again = report(*case, out=tmp_path / "b", **options)
    assert len(first.samples) == 2
    pd.testing.assert_frame_equal(first.samples, again.samples)
    rows = first.samples["row"]
    assert first.samples["label"].tolist() == case[2][rows].tolist()


def test_a_folder_with_other_things_is_refused(case, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputFolderError, match=r"thesis.txt.*--overwrite"):
        report(*case, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(OutputFolderError, match="it is a file"):
        report(*case, out=tmp_path / "thesis.txt")
    report(*case, out=tmp_path, sections=["data"], overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "thesis.txt"}
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_foreign_survey_folder_is_never_removed(case, tmp_path):
    (tmp_path / "survey").mkdir()
    (tmp_path / "survey" / "answers.csv").write_text("mine")
    with pytest.raises(OutputFolderError):
        report(*case, out=tmp_path, sections=["data"], overwrite=True)
    assert (tmp_path / "survey" / "answers.csv").read_text() == "mine"


def test_a_report_about_something_else_is_refused_and_can_be_replaced(case, tmp_path):
    network, x, labels = case
    options = {"out": tmp_path / "r", "sections": ["data"]}
    made = report(network, x, labels, **options)
    before = (made.path / "index.html").read_text(encoding="utf-8")
    with pytest.raises(OutputFolderError, match=r"its data is [0-9a-f]{64}, and"):
        report(network, x + 1, labels, **options)
    assert (made.path / "index.html").read_text(encoding="utf-8") == before
    other = report(network, x + 1, labels, overwrite=True, **options)
    assert other.summary["provenance"]["data"] != made.summary["provenance"]["data"]


@pytest.mark.parametrize(
    ("x", "labels", "error"),
    [
        (np.ones((2, 5, 5)), None, ShapeError),
        (np.ones((1, 6, 6)), None, ShapeError),
        (np.full((1, 1, 6, 6), np.nan), None, NotFiniteError),
        (np.ones((2, 1, 6, 6)), [0, 3], DataError),
        (np.ones((2, 1, 6, 6)), [0], DataError),
        (None, [0], InvalidArgumentError),
    ],
)
def test_bad_input_leaves_no_folder(case, tmp_path, x, labels, error):
    with pytest.raises(error):
        report(case[0], x, labels, out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_arguments_that_do_not_go_together_are_refused(case, tmp_path):
    data = array_data(case[1], case[2], case[0])
    with pytest.raises(InvalidArgumentError, match="brings"):
        report(case[0], data, case[2], out=tmp_path / "r")
    with pytest.raises(InvalidArgumentError, match="chosen"):
        report(case[0], data, out=tmp_path / "r", samples=2)
    with pytest.raises(InvalidArgumentError, match="0 networks"):
        report(None, case[1], out=tmp_path / "r")
    with pytest.raises(InvalidArgumentError, match="1 inputs are given, and 2"):
        report(torch.nn.Linear(3, 2), np.ones((1, 3)), out=tmp_path / "r")


def test_a_data_set_read_for_no_network_is_checked(case, tmp_path):
    network, x, _ = case
    with pytest.raises(ShapeError, match="read_data"):
        report(network, array_data(np.ones((2, 6, 6))), out=tmp_path / "r")
    with pytest.raises(DataError, match="out of range"):
        report(network, array_data(x[:2], [0, 3]), out=tmp_path / "r")
    bounded = from_layers([(np.eye(3), None)], domain=Box(0, 1))
    with pytest.raises(DataError, match="domain"):
        report(bounded, array_data(np.full((2, 3), 9.0)), out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_module_is_imported_with_the_first_inputs(tmp_path):
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)
    )
    x = torch.randn(4, 3)
    made = report(module, x, [0, 1, 0, 1], out=tmp_path / "r", sections=["data"])
    said = module(x).argmax(1)
    assert made.samples["prediction"].tolist() == said.tolist()
    assert made.summary["provenance"]["network"]["format"] == "torch"


def test_an_interrupt_leaves_a_folder_that_the_same_call_continues(case, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report(*case, out=tmp_path / "r", progress=stop)
    assert not (tmp_path / "r" / "index.html").exists()
    report(*case, out=tmp_path / "r", sections=["data"])
    assert {path.name for path in (tmp_path / "r").iterdir()} == FILES


def test_sensitive_reports_hold_no_input(tmp_path):
    network, _ = NETWORKS["max_pool"]()
    x = torch.arange(72.0, dtype=torch.float64).reshape(2, 1, 6, 6) + 0.515151
    parts = ["overview", "data", "preimage", "templates", "margins"]
    shown = report(network, x, [0, 1], out=tmp_path / "a", sections=parts)
    made = report(
        network, x, [0, 1], out=tmp_path / "b", sensitive=True, sections=parts
    )
    assert made.summary["provenance"]["options"]["sensitive"] is True

    def pictures(folder):
        page = (folder / "index.html").read_text(encoding="utf-8")
        return page.count("data:image") + page.count("<svg")

    assert pictures(made.path) < pictures(shown.path)


def test_a_notebook_shows_the_page_in_a_frame(made):
    frame = made._repr_html_()
    assert frame.startswith('<iframe sandbox="allow-scripts" srcdoc="&lt;!')
    assert frame.count('"') == 6
    assert repr(made).startswith("Report(")


def test_unscaled_pixels_are_noticed(tmp_path):
    pixels = np.array([[0, 255], [255, 0], [9, 200], [40, 3]], dtype=np.uint8)
    np.savez(tmp_path / "d.npz", x=pixels, y=[0, 1, 0, 1])
    network = from_layers([(np.array([[1.0, -1.0], [-1.0, 1.0]]), None)])
    data = read_data(tmp_path / "d.npz", network)
    made = report(network, data, out=tmp_path / "r", sections=["data"])
    notes = made.summary["provenance"]["data"]["notes"]
    assert made.summary["accuracy"] == 0.0
    assert any("likely a mistake" in note and "--scale 255" in note for note in notes)
    right = from_layers([(np.array([[-1.0, 1.0], [1.0, -1.0]]), None)])
    fine = report(right, data, out=tmp_path / "s", sections=["data"])
    notes = fine.summary["provenance"]["data"]["notes"]
    assert not any("likely" in note for note in notes)
    assert any("unscaled" in note for note in notes)
    known = from_layers(
        [(np.array([[-1.0, 1.0], [1.0, -1.0]]), None)], domain=Box(0, 255)
    )
    quiet = report(known, data, out=tmp_path / "t", sections=["data"])
    assert not any(
        "unscaled" in note for note in quiet.summary["provenance"]["data"]["notes"]
    )


def test_the_page_says_how_to_read_the_same_data(tmp_path, case):
    network, x, labels = case
    np.savez(tmp_path / "d.npz", x=x.numpy(), y=labels)
    data = read_data(tmp_path / "d.npz", network, samples=3, seed=2, scale=2)
    made = report(network, data, out=tmp_path / "r", sections=["data"])
    recipe = made.summary["provenance"]["data"]["recipe"]
    again = eval(recipe, {"read_data": read_data, "network": network})
    assert again.sha256 == data.sha256
    assert "read_data(" in (made.path / "index.html").read_text(encoding="utf-8")


def test_the_checks_on_the_page_run_as_they_stand(tmp_path):
    """What the page says to run again runs, on the example that ships."""
    sections = ["overview", "data", "spectra", "templates", "margins"]
    made = report(out=tmp_path / "r", samples=6, seed=1, sections=sections)
    assert made.summary["inputs"] == 6
    page = (made.path / "index.html").read_text(encoding="utf-8")
    found = re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)
    blocks = [html.unescape(block) for block in found]
    (setup,) = [block for block in blocks if block.startswith("import pandas")]
    (command,) = [block for block in blocks if block.startswith("rl.report(")]
    names = {}
    exec(setup, names)
    assert len(names["x"]) == len(names["samples"]) == 6
    checks = [block for block in blocks if block not in {setup, command}]
    assert len(checks) == len(sections)
    for check in checks:
        exec(check, names)
    again = eval(command, names)
    pd.testing.assert_frame_equal(again.samples, made.samples)


def test_rl_report_is_the_function(tmp_path):
    import relulens.report.report  # noqa: F401
    import relulens.survey.survey  # noqa: F401

    assert rl.report is report
    assert callable(rl.survey)

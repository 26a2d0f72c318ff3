"""``relulens survey``, ``status`` and ``compare``, as a user calls them."""

import json

import numpy as np
import pandas as pd

from relulens.cli.main import run

ASKED = ["model.onnx", "--data", "data.npz", "-q"]


def told(capsys):
    return json.loads(capsys.readouterr().out)


def test_a_survey_is_finished_later_and_its_status_follows(folder, capsys):
    survey = ["survey", *ASKED, "--out", "s", "--questions", "prediction,slope"]
    assert run([*survey, "--budget", "0"]) == 1
    assert run(["status", "s", "--json"]) == 1
    before = told(capsys)
    assert [(q["name"], q["rows"], q["of_rows"]) for q in before] == [
        ("prediction", 0, 6),
        ("slope", 0, 6),
    ]
    assert run(survey) == 0
    assert run(["status", "s"]) == 0
    assert "slope: 6 of 6 rows, 1 of 1 shards" in capsys.readouterr().out
    x = np.load("data.npz")["x"]
    on = np.maximum(x @ (np.arange(12.0).reshape(4, 3) - 5) + 1, 0)
    table = pd.read_parquet(folder / "s" / "prediction" / "part-00000.parquet")
    assert table["prediction"].tolist() == on.argmax(1).tolist()


def test_two_reports_are_compared_and_a_gate_fails(folder, saved, capsys):
    sections = ["--sections", "overview,margins"]
    assert run(["report", *ASKED, "--out", "a", *sections]) == 0
    saved(folder / "other.onnx", weight=-np.arange(12, dtype=np.float32).reshape(4, 3))
    assert run(["report", "other.onnx", *ASKED[1:], "--out", "b", *sections]) == 0
    capsys.readouterr()
    assert run(["compare", "a", "b", "--json"]) == 0
    found = told(capsys)
    row = found["numbers"]["accuracy"]
    assert row["change"] == row["new"] - row["old"]
    assert found["notes"] == ["the networks are different", "the data are the same"]
    assert run(["compare", "a", "a"]) == 0
    assert "numbers are equal" in capsys.readouterr().out
    assert run(["compare", "a", "b", "--fail-on", "old.inputs==6"]) == 4
    assert "old.inputs is 6" in capsys.readouterr().err


def test_what_is_no_survey_is_refused(folder, capsys):
    assert run(["status", "."]) == 2
    assert "there are 0 surveys in it" in capsys.readouterr().err
    assert run(["compare", ".", "."]) == 2
    assert "there are 0 reports in it" in capsys.readouterr().err
    assert run(["survey", "model.onnx", "--out", "s"]) == 2
    assert "Pass --data" in capsys.readouterr().err
    assert run(["survey", *ASKED, "--out", "s", "--questions", "colour"]) == 2
    assert "cannot ask 'colour'" in capsys.readouterr().err


def test_a_damaged_summary_is_named(folder, capsys):
    (folder / "a").mkdir()
    (folder / "a" / "summary.json").write_text("{")
    assert run(["compare", "a", "a"]) == 2
    assert "it is not whole" in capsys.readouterr().err

"""``relulens attack``, as a user calls it."""

import json

import numpy as np
import pyarrow.parquet as pq

from relulens.cli.main import run

ASKED = ["attack", "model.onnx", "--data", "data.npz"]
WEIGHT = np.arange(12.0).reshape(4, 3) - 5


def predictions(x):
    return np.maximum(x @ WEIGHT + 1, 0)


def test_attacks_are_written_and_counted(folder, capsys):
    out = ["--out", "a.npz", "--json", "--domain", "-4", "4"]
    assert run([*ASKED, *out]) == 0
    said = json.loads(capsys.readouterr().out)
    x, y = (np.load("data.npz")[name] for name in "xy")
    with np.load("a.npz") as found:
        words = found["verdict"]
        assert np.array_equal((found["inputs"] != x).sum(1), found["changed"])
        assert np.array_equal(found["label"], y)
        logits = predictions(found["inputs"])
        own = logits[np.arange(6), y]
        other = np.where(np.eye(3)[y] > 0, -np.inf, logits).max(1)
        assert np.array_equal(found["success"], own < other)
        assert np.allclose(found["margin"], own - other)
    for word in ("found", "undecided", "misclassified"):
        assert said[word] == int((words == word).sum())
    assert said["rows"] == 6


def test_a_target_leaves_its_own_class_out(folder):
    out = ["--out", "a.parquet", "--domain", "-4", "4", "-q", "--target", "0"]
    assert run([*ASKED, *out, "-k", "2"]) == 0
    rows = pq.read_table("a.parquet").to_pylist()
    assert [row["row"] for row in rows] == [1, 2, 4, 5]
    assert all(row["prediction"] == 0 for row in rows if row["success"])


def test_both_attacks_of_the_source(folder, capsys):
    common = ["--domain", "-4", "4", "-k", "2", "--overwrite", "--out", "a.npz"]
    assert run([*ASKED, *common, "--method", "sensitivity"]) == 0
    assert "inputs attacked" in capsys.readouterr().out
    programs = ["--method", "linear-program", "--radius", "2"]
    assert run([*ASKED, *common, *programs]) == 0
    with np.load("a.npz") as found:
        solved = ~np.isnan(found["bound"])
        assert (found["bound"] >= found["reached"] - 1e-6)[solved].all()


def test_no_inputs_have_no_median(folder, capsys):
    common = ["--domain", "-4", "4", "--samples", "0", "--out", "none.npz"]
    assert run([*ASKED, *common]) == 0
    assert capsys.readouterr().out.startswith("0 of 0 inputs attacked, 0 misclassified")


def test_a_file_in_the_place_of_a_folder_is_named(folder, capsys):
    ask = ["survey", "model.onnx", "--data", "data.npz", "--out", "data.npz"]
    assert run(ask) == 2
    said = capsys.readouterr().err
    assert "cannot use data.npz: File exists. Check the path." in said


def test_options_that_do_not_go_together_are_refused(folder, capsys):
    for options, words in (
        (["--method", "linear-program"], "-k and --radius are both needed"),
        (["--radius", "1"], "--method linear-program"),
        (
            ["--method", "linear-program", "-k", "1", "--radius", "1", "--pixels"],
            "Leave --pixels out",
        ),
        (["--domain", "-4", "4", "-k", "0"], "k must be at least 1 and at most 4"),
        (["--domain", "-4", "4", "-k", "9"], "k must be at least 1 and at most 4"),
        ([], "Pass --domain 0 1"),
        (["--domain", "-4", "4", "--method", "sensitivity"], "Pass k"),
    ):
        assert run([*ASKED, "--out", "a.npz", *options]) == 2
        assert words in capsys.readouterr().err
    assert run(["attack", "model.onnx", "--out", "a.npz"]) == 2
    assert "Pass --data PATH" in capsys.readouterr().err
    assert not (folder / "a.npz").exists()

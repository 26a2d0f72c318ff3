"""Commands, as a user calls them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from relulens.cli.main import cli, run


def relulens(*arguments, cwd):
    """Run the command as a process of its own."""
    script = "import sys; from relulens.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def asked(command):
    return [command, "model.onnx", "--data", "data.npz"]


def oracle(x):
    """Return slope and offset of the test's model by hand, one an input."""
    weight = np.arange(12.0).reshape(4, 3) - 5
    on = (x @ weight + 1 > 0).astype(float)
    return on[:, :, None] * weight.T, on


def test_slopes_are_those_of_the_model(folder):
    assert run([*asked("slopes"), "--out", "s.npz", "--quiet"]) == 0
    x = np.load("data.npz")["x"]
    slope, offset = oracle(x)
    with np.load("s.npz") as found:
        assert np.array_equal(found["row"], np.arange(6))
        assert np.array_equal(found["slope"], slope)
        assert np.array_equal(found["offset"], offset)


def test_spectra_before_and_after_a_relu(folder):
    command = ["spectrum", "model.onnx", "--data", "data.npz", "--layer", "relu", "-q"]
    assert run([*command, "--out", "after.parquet"]) == 0
    assert run([*command, "--at", "preactivation", "--out", "before.parquet"]) == 0
    slope, _ = oracle(np.load("data.npz")["x"])
    values = np.array(pq.read_table("after.parquet")["values"].to_pylist())
    assert values == pytest.approx(np.linalg.svd(slope, compute_uv=False), abs=1e-12)
    before = np.array(pq.read_table("before.parquet")["values"].to_pylist())
    assert (values <= before + 1e-12).all()


def test_regions_say_how_far_and_which_unit(folder):
    command = [*asked("region"), "--out", "r.npz", "--faces", "all"]
    assert run([*command, "--inequalities"]) == 0
    x, weight = np.load("data.npz")["x"], np.arange(12.0).reshape(4, 3) - 5
    faces = np.abs(x @ weight + 1) / np.linalg.norm(weight, axis=0)
    with np.load("r.npz") as found:
        assert found["distance"] == pytest.approx(faces.min(1))
        assert np.array_equal(found["code/relu"], (x @ weight + 1 > 0).astype(int))
        assert (found["status"] == "ok").all()
        slack = found["b"] - np.einsum("nri,ni->nr", found["A"], x)
        assert np.array_equal(slack, np.abs(x @ weight + 1))


def test_describe_in_json(folder, capsys):
    assert run(["describe", "model.onnx", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in told["nodes"]] == ["x", "gemm", "relu"]
    assert any("agrees with" in line for line in told["about"])


def test_a_report_its_files_and_its_last_lines(folder):
    done = relulens(
        "report", "model.onnx", "--data", "data.npz", "--out", "made", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    made = folder / "made"
    assert str(made / "index.html") in done.stdout
    assert "relulens describe model.onnx" in done.stdout
    assert len(pd.read_parquet(made / "samples.parquet")) == 6
    summary = json.loads((made / "summary.json").read_text())
    assert summary["inputs"] == 6
    command = summary["provenance"]["command"]
    assert command == "relulens report model.onnx --data data.npz --out made"
    assert (made / "layers.parquet").exists()


def test_gates_and_json(folder, capsys):
    command = [*asked("report"), "--json", "--sections", "data"]
    assert run([*command, "--fail-on", "accuracy>1"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["inputs"] == 6
    assert run([*command, "--fail-on", "inputs<7", "--fail-on", "accuracy>1"]) == 4
    assert "gate failed: inputs is 6" in capsys.readouterr().err
    assert run([*command, "--fail-on", "acuracy<1"]) == 2


def test_progress_in_json_lines(folder):
    arguments = ["--data", "data.npz", "--progress", "json", "--sections", "data"]
    done = relulens("report", "model.onnx", *arguments, cwd=folder)
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines[0]["event"] == "begin"
    last = lines[-1]
    assert last["event"] == "progress"
    assert last["done"] == last["total"] > 0


def test_quiet_says_nothing(folder):
    arguments = ["--data", "data.npz", "--quiet", "--sections", "overview"]
    done = relulens("report", "model.onnx", *arguments, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_same_command_continues_and_another_is_refused(folder, capsys):
    command = [*asked("report"), "--sections", "overview,data", "-q"]
    assert run(command) == 0
    first = pd.read_parquet("relulens-report/samples.parquet")
    assert run(command) == 0
    again = pd.read_parquet("relulens-report/samples.parquet")
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert run([*command, "--scale", "2"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run([*command, "--scale", "2", "--overwrite"]) == 0


def test_an_interruption_keeps_what_was_finished(folder):
    x = np.random.default_rng(0).normal(size=(20_000, 4))
    np.savez("many.npz", x=x)
    script = "from relulens.cli.main import main; main()"
    arguments = ["report", "model.onnx", "--data", "many.npz", "--progress", "json"]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # a test run in the background is started with interrupts ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stderr:
        if '"progress"' in line:
            break
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert "interrupted" in told
    assert "Traceback" not in told
    assert (folder / "relulens-report" / "survey" / "manifest.json").exists()
    assert not list(folder.rglob("*.part"))


def test_help_is_quick():
    begun = time.monotonic()
    done = relulens("--help", cwd=Path.cwd())
    # 0.1 s on an idle machine; the limit leaves room for a busy one.
    assert time.monotonic() - begun < 1.0
    assert "Exit codes" in done.stdout
    code = "import sys, relulens.cli.main; print({'torch', 'numpy'} & set(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "set()"


def test_every_command_is_documented_and_fits_its_line_of_help(capsys):
    page = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text()
    for name, command in cli.commands.items():
        assert f"relulens {name} " in page
        assert not command.get_short_help_str(62).endswith("...")


@pytest.mark.parametrize("arguments", [[], ["bogus"]])
def test_no_command_is_a_usage_error(arguments):
    assert run(arguments) == 2

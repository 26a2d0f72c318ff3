"""What bad input gets: one line that says what to do, an exit code, nothing written."""

import re

import numpy as np
import pytest
import torch
from onnx import helper

from relulens.cli.main import run

MODEL = "model.onnx"


def arrays(path, **named):
    np.savez(path, **named)


def make_files(folder, saved):
    """Write every kind of bad input there is."""
    x, whole = np.zeros((6, 4)), (folder / MODEL).read_bytes()
    odd = [
        helper.make_node("Det", ["y"], ["s"], name="first_odd"),
        helper.make_node("Det", ["y"], ["t"], name="second_odd"),
        helper.make_node("Add", ["s", "t"], ["u"], name="sum"),
    ]
    saved(folder / "odd.onnx", odd, ["u"])
    negated = helper.make_node("Neg", ["z"], ["minus"], name="neg")
    saved(folder / "two.onnx", [negated], ["y", "minus"])
    saved(folder / "nan.onnx", weight=np.full((4, 3), np.nan, dtype=np.float32))
    (folder / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (folder / "text.onnx").write_text("hello world")
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
    torch.save(module, folder / "full.pt")
    torch.save(module.state_dict(), folder / "state.pt")
    program = torch.export.export(module, (torch.zeros(2, 4),))
    torch.export.save(program, folder / "program.pt2")
    arrays(folder / "shape.npz", x=np.zeros((6, 5)))
    arrays(folder / "no_batch.npz", x=np.zeros(4))
    arrays(folder / "nan.npz", x=np.full((6, 4), np.nan))
    arrays(folder / "labels.npz", x=x, y=np.array([0, 1, 2, 3, 9, 1]))
    arrays(folder / "bytes.npz", x=np.full((6, 4), 200.0))
    (folder / "empty").mkdir()
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.txt").write_text("years of work")


# Command, exit code, what the message says.
CASES = [
    ("report odd.onnx --data data.npz", 3, "'first_odd' .* 'second_odd'"),
    ("describe odd.onnx", 3, "2 of its nodes have no rule"),
    ("report two.onnx --data data.npz", 2, r"\(y, minus\).*--output NAME"),
    ("report nan.onnx --data data.npz", 2, "12 of the 12 numbers .* NaN"),
    ("report cut.onnx --data data.npz", 3, "truncated"),
    ("report text.onnx --data data.npz", 3, "not an ONNX model"),
    ("report full.pt --data data.npz", 2, "can run any code.*--allow-unsafe-model"),
    ("report program.pt2 --data data.npz", 2, "can run any code.*ONNX"),
    ("report state.pt --data data.npz", 3, "--arch file.py:build"),
    ("report missing.onnx --data data.npz", 2, "no such file"),
    ("report model.onnx --data missing.npz", 2, "no such file or folder"),
    ("report model.onnx --data shape.npz", 2, r"\[6, 5\].*\[N, 4\]"),
    ("report model.onnx --data no_batch.npz", 2, r"\[4\]"),
    ("report model.onnx --data nan.npz", 2, "24 of its numbers are NaN"),
    ("report model.onnx --data labels.npz", 2, "0 to 9.*0 to 2"),
    ("report model.onnx --data bytes.npz --domain 0 1", 2, "200.*0 to 1.*--scale 255"),
    ("report model.onnx --data empty", 2, "it is empty"),
    ("report model.onnx --data data.npz --out mine", 2, "thesis.txt.*--overwrite"),
    ("report model.onnx --data data.npz --out data.npz", 2, "it is a file"),
    ("report --data data.npz", 2, "no model is named"),
    ("report --mean 1", 2, "--mean"),
    ("report model.onnx --data data.npz --mean a,b", 2, "'a,b' is not a number"),
    ("report model.onnx --data data.npz --std 0", 2, "must exceed 0"),
    ("report model.onnx --data data.npz --domain 1 0", 2, "low is 1 and high 0"),
    ("report model.onnx --data data.npz --samples -1", 2, "-1 is not in the range"),
    ("report model.onnx --data data.npz --budget -1", 2, "-1.0 is not in the range"),
    ("report model.onnx --data data.npz --sections no", 2, "'no'.*overview"),
    ("report model.onnx --data data.npz --output no", 2, "'no'.*nearest"),
    ("report model.onnx --data data.npz --device tpu", 2, "--device 'tpu'"),
    ("report model.onnx --data data.npz --fail-on accuracy", 2, "accuracy<0.9"),
    ("report model.onnx --bogus", 2, "--bogus"),
    ("slopes model.onnx --out a.npz", 2, "--data PATH"),
    ("slopes model.onnx --data data.npz --out a.txt", 2, "'.npz' or '.parquet'"),
    ("slopes model.onnx --data data.npz --out data.npz", 2, "--overwrite"),
    ("slopes model.onnx --data data.npz --out a.npz --layer rel", 2, "'relu'"),
    ("spectrum model.onnx --data data.npz --out a.npz --layer 7", 2, "'7'"),
    ("region model.onnx --data shape.npz --out a.npz", 2, r"\[6, 5\]"),
]


@pytest.mark.parametrize(("command", "code", "message"), CASES, ids=lambda v: str(v))
def test_one_line_says_what_to_do(folder, saved, capsys, command, code, message):
    make_files(folder, saved)
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    assert run(command.split()) == code
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "Traceback" not in told
    lines = [line for line in told.splitlines() if not line.startswith("See ")]
    assert len(lines) == 1
    assert re.search(message, lines[0]), lines[0]
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before


def test_torchscript_is_refused(folder, capsys):
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
    with pytest.warns(DeprecationWarning, match="jit"):
        torch.jit.trace(module, torch.zeros(2, 4)).save(folder / "script.pt")
    assert run(["describe", "script.pt"]) == 2
    assert "TorchScript" in capsys.readouterr().err


def test_external_data_outside_the_folder_are_refused(folder, capsys):
    import onnx
    from onnx.external_data_helper import set_external_data

    model = onnx.load(folder / MODEL)
    (folder / "inside").mkdir()
    weight = model.graph.initializer[0]
    set_external_data(weight, location="../secret.bin", length=48)
    weight.ClearField("raw_data")
    (folder / "secret.bin").write_bytes(bytes(48))
    (folder / "inside" / MODEL).write_bytes(model.SerializeToString())
    assert run(["describe", f"inside/{MODEL}"]) == 3
    assert "secret.bin" in capsys.readouterr().err

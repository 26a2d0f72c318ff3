"""``relulens bounds``: verdicts on data and on properties."""

import json

import numpy as np
import pytest

from relulens.cli.main import run

PROPERTY = "\n".join([
    *(f"(declare-const X_{i} Real)" for i in range(4)),
    *(f"(declare-const Y_{i} Real)" for i in range(3)),
    *(f"(assert (<= X_{i} 1)) (assert (>= X_{i} -1))" for i in range(4)),
])


def test_verdicts_at_every_radius(folder, capsys):
    command = ["bounds", "model.onnx", "--data", "data.npz", "--radius", "0.5,0.001"]
    assert run([*command, "--out", "b.npz", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [line["radius"] for line in told["radii"]] == [0.001, 0.5]
    words = ("certified", "attacked", "undecided", "wrong")
    assert all(sum(line[word] for word in words) == 6 for line in told["radii"])
    with np.load("b.npz") as found:
        assert found["row"].tolist() == list(range(6))
        assert (found["verdict/0.001"] == "certified").sum() == told["radii"][0][
            "certified"
        ]


@pytest.mark.parametrize(
    ("condition", "code", "word"),
    [("(>= Y_0 1000)", 0, "holds"), ("(>= Y_0 1)", 4, "violated")],
)
def test_properties(folder, capsys, condition, code, word):
    (folder / "p.vnnlib").write_text(f"{PROPERTY}\n(assert {condition})")
    command = ["bounds", "model.onnx", "--property", "p.vnnlib", "--json"]
    assert run(command) == code
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == word
    assert (told["witness"] is None) == (code == 0)


def test_refusals(folder, capsys):
    assert run(["bounds", "model.onnx"]) == 2
    assert "--data PATH or --property FILE" in capsys.readouterr().err
    (folder / "p.vnnlib").write_text("(push 1)")
    assert run(["bounds", "model.onnx", "--property", "p.vnnlib"]) == 2
    assert "(push 1)" in capsys.readouterr().err
    assert run(["bounds", "model.onnx", "--data", "data.npz", "--radius", "a"]) == 2

"""``relulens preimage`` and ``relulens verify``, as a user calls them."""

import json

import numpy as np
import pytest

from relulens.cli.main import run

ASKED = ["preimage", "model.onnx", "--data", "data.npz", "--layer", "relu", "-q"]


def active(x):
    """Count the units of the test's model that are on, by hand."""
    return (x @ (np.arange(12.0).reshape(4, 3) - 5) + 1 > 0).sum(1)


def test_verdicts_stand_beside_their_numbers(folder):
    assert run([*ASKED, "--out", "p.npz"]) == 0
    with np.load("p.npz") as found:
        assert found["active"].tolist() == active(np.load("data.npz")["x"]).tolist()
        # three units cannot bound four coordinates
        assert set(found["verdict"]) == {"unbounded"}
        assert (found["columns"] == 4).all()
        assert (found["dimension"] == 4 - found["rank"]).all()
        assert "certificate" not in found


def test_a_domain_bounds_what_the_units_leave(folder):
    out = ["--out", "p.npz", "--domain", "-5", "5"]
    assert run([*ASKED, *out]) == 0
    with np.load("p.npz") as found:
        assert set(found["verdict"]) <= {"bounded", "singleton"}
    assert run([*ASKED, *out, "--overwrite", "--no-domain"]) == 0
    with np.load("p.npz") as found:
        assert set(found["verdict"]) == {"unbounded"}


def test_certificates_are_verified_and_altered_ones_refused(folder, capsys):
    assert run([*ASKED, "--out", "p.npz", "--certificates", "proofs"]) == 0
    capsys.readouterr()
    assert run(["verify", "proofs", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [line["verdict"] for line in told["certificates"]] == ["unbounded"] * 6
    with np.load("p.npz") as found:
        names = found["certificate"].tolist()
    path = folder / "proofs" / names[2]
    assert run(["verify", str(path), "--model", "model.onnx"]) == 0
    with np.load(path) as stored:
        arrays = dict(stored)
    place = next(name for name in arrays if name.startswith("array"))
    arrays[place] = arrays[place] + 1
    np.savez(path, **arrays)
    capsys.readouterr()
    assert run(["verify", "proofs", "--model", "model.onnx"]) == 1
    said = capsys.readouterr().out
    assert f"refused proofs/{names[2]}" in said
    assert "5 of 6 certificates hold" in said


def test_other_weights_are_refused(folder, saved, capsys):
    assert run([*ASKED, "--out", "p.npz", "--certificates", "proofs"]) == 0
    saved(folder / "other.onnx", weight=-np.arange(12, dtype=np.float32).reshape(4, 3))
    assert run(["verify", "proofs", "--model", "other.onnx"]) == 1
    assert "0 of 6 certificates hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "nowhere"], "it is not there"),
        (["verify", "data.npz"], "names the model"),
        ([*ASKED[:-3], "--layer", "rely", "--out", "p.npz"], "relu"),
        ([*ASKED, "--out", "p.npz", "--certificates", "."], "already"),
    ],
)
def test_what_cannot_be_done_is_said(folder, capsys, arguments, said):
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


def test_invert_and_reverse_are_other_names(folder, capsys):
    asked = ["invert", *ASKED[1:], "--scope", "network", "--out", "p.npz"]
    assert run(asked) == 0
    with np.load("p.npz") as found:
        assert set(found["verdict"]) == {"unbounded"}
        assert not found["complete"].any()
    capsys.readouterr()
    assert run(["reverse", "--help"]) == 0
    assert "relulens reversal" in capsys.readouterr().out
    assert run(["--help"]) == 0
    assert "invert" in capsys.readouterr().out

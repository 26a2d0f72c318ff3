"""``relulens slice``, as a user calls it."""

import json

import numpy as np
import pandas as pd
import pytest

from relulens.cli.main import run
from relulens.cli.slice import INSIDE

ASKED = ["slice", "model.onnx", "--data", "data.npz", "-q"]


def cells_by_hand(zoom):
    """Count the pieces that three lines cut a triangle into.

    One, one more a line, and one more for every line but one through each crossing. The
    model's lines all go through one point, since their weights rise evenly.
    """
    x = np.load("data.npz")["x"][:3]
    weight, bias = np.arange(12.0).reshape(4, 3) - 5, np.ones(3)
    centre = x.mean(0)
    corners = centre + zoom * (x - centre)
    z = corners @ weight + bias
    cut = [k for k in range(3) if z[:, k].min() < 0 < z[:, k].max()]
    crossings: dict[tuple[float, ...], set[int]] = {}
    for place, j in enumerate(cut):
        for k in cut[place + 1 :]:
            # barycentric coordinates of the crossing
            rows = np.vstack([z[:, j], z[:, k], np.ones(3)])
            share = np.linalg.solve(rows, [0.0, 0.0, 1.0])
            if (share > 0).all():
                place_of = tuple(share.round(9))
                crossings.setdefault(place_of, set()).update((j, k))
    return 1 + len(cut) + sum(len(lines) - 1 for lines in crossings.values())


@pytest.mark.parametrize("zoom", [0.3, 1.0, 4.0])
def test_the_cells_are_those_of_three_lines(folder, capsys, zoom):
    assert run([*ASKED, "--json", "--zoom", str(zoom)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cells"] == cells_by_hand(zoom)
    assert told["vertices"] - told["edges"] + told["cells"] == 1
    assert told["complete"]


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("s.svg", b"<?xml"),
        ("s.png", b"\x89PNG"),
        ("s.pdf", b"%PDF"),
        ("s.html", b"<!d"),
    ],
)
def test_pictures_are_written_without_a_screen(folder, name, start):
    assert run([*ASKED, "--out", name]) == 0
    assert (folder / name).read_bytes().startswith(start)
    assert run([*ASKED, "--out", name]) == 2
    assert run([*ASKED, "--out", name, "--overwrite"]) == 0


def test_the_table_has_a_row_a_cell(folder):
    assert run([*ASKED, "--zoom", "4", "--table", "cells.parquet"]) == 0
    table = pd.read_parquet("cells.parquet")
    assert len(table) == cells_by_hand(4.0)
    x = np.load("data.npz")["x"][:3]
    one, two = x[1] - x[0], x[2] - x[0]
    square = (one @ one) * (two @ two) - (one @ two) ** 2
    whole = 8 * np.sqrt(square) * INSIDE**2
    assert table["area"].sum() == pytest.approx(whole, rel=1e-12)
    assert set(table["prediction"]) <= {0, 1, 2}


def test_threads_and_limits(folder, capsys):
    assert run([*ASKED, "--json", "--zoom", "4"]) == 0
    one = json.loads(capsys.readouterr().out)
    several = ["--threads", "2", "--seconds", "60", "--cells", "1000"]
    assert run([*ASKED, "--json", "--zoom", "4", *several]) == 0
    other = json.loads(capsys.readouterr().out)
    # Limits are kept by another way to cut, which places vertices at its own rounding.
    assert other.pop("area") == pytest.approx(one.pop("area"), rel=1e-12)
    assert other == one
    assert run([*ASKED, "--threads", "0"]) == 2
    assert "--threads" in capsys.readouterr().err


def test_the_plane_of_principal_components(folder, capsys):
    assert run([*ASKED, "--principal", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["area"] > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--points", "0,1"], "three different inputs are needed"),
        (["--points", "0,1,6"], "the data have 6"),
        (["--points", "0,1,1"], "three different inputs are needed"),
        (["--points", "0,1,2", "--principal"], "Pass one of them"),
        (["--out", "s.gif"], "4 formats are known"),
    ],
)
def test_what_cannot_be_cut_is_refused(folder, capsys, options, said):
    assert run([*ASKED, *options]) == 2
    assert said in capsys.readouterr().err


def test_a_slice_needs_inputs(folder, capsys):
    assert run(["slice", "model.onnx"]) == 2
    assert "Pass --data" in capsys.readouterr().err

"""What layers determine of every input, against counting by hand and a rank."""

import numpy as np
import pytest
import torch

import relulens as rl
from relulens.importers.layers import from_layers
from relulens.survey.questions.preimage import preimage, readers
from relulens.survey.survey import survey

# units 0 to 3 read entries 0 and 1 both ways; entry 2 is read one way only
ROWS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]], float)
SECOND = np.ones((2, 5))


def network(domain=None):
    layers = [(ROWS, None), (SECOND, None), (np.eye(2), None)]
    return from_layers(layers, domain=domain)


X = torch.tensor([[1.0, 2.0, 3.0], [1.0, -2.0, -3.0], [2.0, 1.0, 0.0]])


def tables(subject, folder, x=X):
    found = survey(subject, x, out=folder, questions=["preimage", "preimage_depth"])
    return [found.answers[name].table for name in ("preimage", "preimage_depth")]


def test_verdicts_by_hand(tmp_path):
    first, deep = tables(network(rl.Box(-5, 5)), tmp_path)
    # the third entry's unit is off where it is not positive: a half-line is left
    assert first["verdict"].tolist() == ["singleton", "unbounded", "unbounded"]
    assert first["dimension"].tolist() == [0, 1, 1]
    assert first["active"].tolist() == [3, 2, 2]
    assert (first["columns"] == 3).all()
    assert first["verdict_domain"].tolist() == ["singleton", "bounded", "bounded"]
    # among entries from -5 to 0 the farthest from -3 is 0, and from 0 it is -5
    assert first["twin_distance"][1:].tolist() == pytest.approx([3.0, 5.0])
    assert first["twin_distance"].isna()[0]
    assert (first["twin_difference"][1:] == 0).all()
    assert first["status"].tolist() == ["ok"] * 3
    assert set(deep["name"]) == {network().layers[1].name, "output"}
    assert not (deep["verdict_domain"] == "singleton").any()


def test_without_a_domain_its_columns_are_null(tmp_path):
    first, _ = tables(network(), tmp_path)
    assert first["verdict_domain"].isna().all()
    assert first["dimension_domain"].isna().all()


def test_the_verdict_of_a_dense_layer_is_its_rank(tmp_path):
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((9, 4))
    x = torch.from_numpy(generator.standard_normal((12, 4)))
    first, _ = tables(from_layers([(rows, None), (np.ones((1, 9)), None)]), tmp_path, x)
    ranks = [np.linalg.matrix_rank(rows[rows @ point > 0]) for point in x.numpy()]
    assert [v == "singleton" for v in first["verdict"]] == [r == 4 for r in ranks]
    assert len(set(first["verdict"])) > 1


def test_curved_layers_are_refused_by_name(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU()).double()
    first, deep = tables(rl.from_torch(module.eval(), X[:2].double()), tmp_path)
    said = [*first["status"], *deep["status"]]
    assert all(status.startswith("refused") for status in said)


def test_large_networks_are_asked_about_few_inputs():
    def asked(width):
        rows = torch.ones(width, 500, dtype=torch.float64)
        return preimage(from_layers([(rows, None), (torch.ones(1, width), None)]))

    assert asked(10).inputs == 100
    assert 1 <= asked(20_000).inputs < 100
    assert asked(10).rows_per_shard >= 1


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_readers_are_the_layers_on_the_input(layers):
    made = from_layers([(np.eye(2), None)] * (layers + 1))
    assert readers(made) == (0,)

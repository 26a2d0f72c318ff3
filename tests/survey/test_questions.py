"""Every column of the report's questions against an oracle that shares no code."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, POLYHEDRAL, whole
from torch.nn.functional import conv2d, max_pool2d

from relulens.graph.evaluate import evaluate
from relulens.graph.network import Network
from relulens.importers.layers import from_layers
from relulens.survey.questions.spectra import decoded, priority
from relulens.survey.survey import survey

W1, B1 = whole(7, 4, seed=1), whole(7, seed=2)
W2, B2 = whole(6, 7, seed=3), whole(6, seed=4)
W3, B3 = whole(3, 6, seed=5), whole(3, seed=6)


def plain(x):
    """Compute the network with torch alone."""
    hidden = torch.relu(torch.relu(x @ W1.T + B1) @ W2.T + B2)
    return hidden @ W3.T + B3


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A network, its inputs in general position, and its survey."""
    network = from_layers([(W1, B1), (W2, B2), (W3, B3)])
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(9, 4, generator=generator, dtype=torch.float64)
    labels = np.arange(9) % 3
    found = survey(network, x, labels, out=tmp_path_factory.mktemp("survey"))
    tables = {name: answers.table for name, answers in found.answers.items()}
    return network, x, labels, found, tables


def jacobians(x):
    return torch.stack([torch.autograd.functional.jacobian(plain, p) for p in x])


def test_prediction(case):
    _, x, labels, _, tables = case
    logits = plain(x).numpy()
    table = tables["prediction"]
    order = np.sort(logits, axis=1)
    assert table["prediction"].tolist() == logits.argmax(1).tolist()
    assert table["label"].tolist() == labels.tolist()
    assert np.allclose(table["output"], order[:, -1], rtol=1e-12)
    assert np.allclose(table["margin"], order[:, -1] - order[:, -2], rtol=1e-9)
    own = logits[np.arange(9), labels]
    rest = [
        max(np.delete(row, label)) for row, label in zip(logits, labels, strict=True)
    ]
    assert np.allclose(table["label_margin"], own - rest, rtol=1e-9)
    assert table["correct"].tolist() == (logits.argmax(1) == labels).tolist()


def test_slope(case):
    _, x, _, _, tables = case
    slopes, table = jacobians(x).numpy(), tables["slope"]
    values = np.linalg.svd(slopes, compute_uv=False)
    ranks = np.linalg.matrix_rank(slopes)
    assert table["slope_rank"].tolist() == ranks.tolist()
    assert np.allclose(table["slope_largest"], values[:, 0])
    for i, rank in enumerate(ranks):
        if rank:
            assert table["slope_smallest"][i] == pytest.approx(values[i, rank - 1])
        else:
            assert math.isnan(table["slope_smallest"][i])
    assert np.allclose(table["slope_frobenius"], (slopes**2).sum((1, 2)) ** 0.5)


def test_template_and_offset_parts_add_up(case):
    _, x, _, _, tables = case
    slopes, logits, table = jacobians(x).numpy(), plain(x).numpy(), tables["slope"]
    for i, best in enumerate(logits.argmax(1)):
        row = slopes[i, best]
        assert table["template_norm"][i] == pytest.approx(np.linalg.norm(row))
        part = row @ x[i].numpy()
        assert table["template_part"][i] == pytest.approx(part, abs=1e-9)
        rest = logits[i, best] - part
        assert table["offset_part"][i] == pytest.approx(rest, abs=1e-9)


def test_margin_distance(case):
    _, x, _, _, tables = case
    slopes, logits, table = jacobians(x).numpy(), plain(x).numpy(), tables["slope"]
    for i, best in enumerate(logits.argmax(1)):
        steep = np.linalg.norm(slopes[i, best] - slopes[i], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = (logits[i, best] - logits[i]) / steep
        reach[best] = np.inf
        assert table["margin_distance"][i] == pytest.approx(reach.min())
        if np.isfinite(reach.min()):
            assert table["nearest_class"][i] == reach.argmin()


def test_region_radius_holds_the_prediction(case):
    _, x, _, _, tables = case
    boundary, slope = tables["boundary"], tables["slope"]
    both = np.minimum(boundary["boundary_distance"], slope["margin_distance"])
    assert (boundary["region_radius_l2"] == both).all()
    generator = torch.Generator().manual_seed(1)
    for i, radius in enumerate(boundary["region_radius_l2"]):
        step = torch.randn(500, 4, generator=generator, dtype=torch.float64)
        step *= 0.999 * radius / step.norm(dim=1, keepdim=True)
        said = plain(x[i] + step).argmax(1)
        assert (said == plain(x[i : i + 1]).argmax(1)).all()


def test_boundary_distance_is_that_of_the_nearest_unit(case):
    _, x, _, _, tables = case
    table = tables["boundary"]
    for i, point in enumerate(x):
        z1 = W1 @ point + B1
        gate = (z1 > 0).double()
        inner = W2 @ (gate[:, None] * W1)
        z2 = W2 @ torch.relu(z1) + B2
        z = torch.cat([z1, z2])
        norms = torch.cat([W1, inner]).norm(dim=1)
        nearest = torch.where(norms > 0, z.abs() / norms, torch.inf).min()
        assert table["boundary_distance"][i] >= nearest * (1 - 1e-12)
        if table["boundary_distance"][i] == pytest.approx(float(nearest)):
            place = int(table["boundary_unit"][i])
            place += 7 if table["boundary_layer"][i] == "relu1" else 0
            assert z[place].abs() / norms[place] == pytest.approx(float(nearest))


def test_activity(case):
    _, x, _, found, tables = case
    first = torch.relu(x @ W1.T + B1)
    second = torch.relu(first @ W2.T + B2)
    on = torch.cat([first > 0, second > 0], dim=1).double()
    assert np.allclose(tables["activity"]["active_fraction"], on.mean(1), rtol=1e-15)
    counted = sum(arrays["active.1"] for arrays in found.answers["activity"].arrays)
    assert counted.tolist() == (second > 0).sum(0).tolist()
    names = tables["activity"]["region"].to_numpy()
    same = (on[:, None] == on).all(2).numpy()
    assert np.array_equal(names[:, None] == names, same)


def test_spectra(case):
    _, x, _, found, tables = case
    table, arrays = tables["spectra"], found.answers["spectra"].arrays
    assert table["input"].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    sides = zip(table["layer"], table["at"], strict=True)
    cuts = {
        (-1, "features"): plain,
        (1, "features"): lambda p: torch.relu(torch.relu(p @ W1.T + B1) @ W2.T + B2),
        (1, "preactivation"): lambda p: torch.relu(p @ W1.T + B1) @ W2.T + B2,
        (0, "features"): lambda p: torch.relu(p @ W1.T + B1),
        (0, "preactivation"): lambda p: p @ W1.T + B1,
    }
    assert list(sides) == list(cuts) * 3
    for row in range(15):
        cut = list(cuts.values())[row % 5]
        slope = torch.autograd.functional.jacobian(cut, x[row // 5]).numpy()
        values = np.linalg.svd(slope, compute_uv=False)
        assert np.allclose(arrays[row]["values.0"], values, atol=1e-6 * values[0])
        assert table["largest"][row] == pytest.approx(values[0])
        assert table["rank"][row] == np.linalg.matrix_rank(slope)
        assert table["count"][row] == len(values)
        assert table["complete"][row]


def test_convolutions_and_pooling(tmp_path):
    network, x = NETWORKS["max_pool"]()
    weights = [
        term.map for node in network.nodes for term in getattr(node, "terms", ())
    ]
    kernel, head = weights[0].weight, weights[-1].to_dense()
    biases = [
        node.bias for node in network.nodes if getattr(node, "bias", None) is not None
    ]

    def by_torch(p):
        hidden = torch.relu(conv2d(p[None], kernel, biases[0].flatten(), padding=1))
        return (head @ max_pool2d(hidden, 2).flatten()) + biases[-1]

    tables = survey(network, x, out=tmp_path, questions=["prediction", "slope"]).answers
    values = [
        np.linalg.norm(torch.autograd.functional.jacobian(by_torch, p)) for p in x
    ]
    assert tables["prediction"].table["output"].tolist() == [
        float(by_torch(p).max()) for p in x
    ]
    assert np.allclose(tables["slope"].table["slope_frobenius"][:3], values[:3])


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_outputs_and_margins_of_every_network(tmp_path, name):
    network, x = NETWORKS[name]()
    found = survey(network, x, out=tmp_path, questions=["prediction", "slope"]).answers
    logits = evaluate(network, x).flatten(1)
    said, slope = found["prediction"].table, found["slope"].table
    assert said["output"].tolist() == logits.amax(1).tolist()
    assert np.allclose(slope["template_part"] + slope["offset_part"], said["output"])
    if logits.shape[1] == 1:
        for column in ("prediction", "margin", "label_margin", "correct"):
            assert said[column].isna().all()
        assert slope["margin_distance"].isna().all()
    else:
        ties = said["margin"] == 0
        assert (slope["margin_distance"][ties] == 0).all()


def test_dead_outputs_have_rank_zero_and_no_smallest_value(tmp_path):
    network = from_layers([(-np.eye(2), None), (np.ones((3, 2)), np.arange(3.0))])
    found = survey(network, [[1.0, 1.0]], out=tmp_path).answers
    line = found["slope"].table.iloc[0]
    assert (line["slope_rank"], line["slope_largest"]) == (0, 0.0)
    assert math.isnan(line["slope_smallest"])
    assert line["margin_distance"] == math.inf
    assert found["slope"].table["nearest_class"].isna().all()
    assert found["boundary"].table["region_radius_l2"][0] > 0


def test_curved_networks_are_refused_by_name_and_only_for_boundaries(tmp_path):
    network, x = NETWORKS["smooth"]()
    found = survey(network, x, out=tmp_path).answers
    status = set(found["boundary"].table["status"])
    assert len(status) == 1
    assert status.pop().startswith("refused: cannot answer boundary_distance")
    assert found["boundary"].table["boundary_distance"].isna().all()
    assert set(found["slope"].table["status"]) == {"ok"}


def test_maps_of_outputs_are_refused(tmp_path):
    network, x = NETWORKS["max_pool"]()
    image = network.with_output(network.find("relu"))
    assert isinstance(image, Network)
    found = survey(image, x, out=tmp_path, questions=["prediction"]).answers
    assert all(
        status.startswith("refused: cannot compare outputs")
        for status in found["prediction"].table["status"]
    )


@given(layers=st.integers(0, 50), most=st.integers(1, 60))
def test_cuts_are_the_output_and_both_sides_of_layers_far_apart(layers, most):
    cuts = [decoded(cut) for cut in priority(layers, most)]
    asked = [layer for layer, _ in cuts[1:]]
    assert cuts[0] == (-1, "features")
    assert asked[::2] == asked[1::2]
    assert len(set(asked)) == min(layers, most)
    assert [side for _, side in cuts[1:3]] == ["features", "preactivation"][
        : len(asked)
    ]
    if layers > 4 and most > 2:
        assert asked[:5:2] == [layers - 1, 0, (layers - 1) // 2]

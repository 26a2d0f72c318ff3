import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from networks import NETWORKS

from relulens import plot
from relulens.graph.domain import Box
from relulens.graph.evaluate import evaluate
from relulens.importers.layers import from_layers
from relulens.robustness.attacks.curve import attack_curve
from relulens.robustness.attacks.sparse import sparse_attack


def attacked():
    generator = torch.Generator().manual_seed(1)
    first, last = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((8, 9), (3, 8))
    )
    network = from_layers([(first, None), (last, None)])
    x = torch.rand(12, 9, generator=generator, dtype=torch.float64)
    labels = evaluate(network, x).argmax(1)
    labels[0] = (labels[0] + 1) % 3
    return network, x, sparse_attack(network, x, labels=labels, domain=Box(0, 1))


def test_a_curve_counts_what_is_left() -> None:
    _, _, found = attacked()
    assert found.success.sum() > 6
    curve = attack_curve(found)
    words = np.array(found.verdict)
    changed = found.changed.numpy()
    for k, success, accuracy in zip(
        curve.k.tolist(), curve.success.tolist(), curve.accuracy.tolist(), strict=True
    ):
        hit = int(((words == "found") & (changed <= k)).sum())
        right = int((words != "misclassified").sum())
        assert success == pytest.approx(hit / right)
        assert accuracy == pytest.approx((right - hit) / 12)
    assert curve.k[-1] == found.changed[found.success].max()
    assert (curve.accuracy.diff() <= 0).all()
    assert attack_curve(found, most=1).k.tolist() == [0, 1]


def test_a_curve_of_nothing() -> None:
    network, x, _ = attacked()
    none = sparse_attack(network, x[:0], domain=Box(0, 1))
    curve = attack_curve(none)
    assert curve.count == 0
    assert torch.isnan(curve.accuracy).all()
    assert torch.isnan(curve.success).all()


def test_worst_examples_frame_every_change() -> None:
    _, x, found = attacked()
    ax = Figure().subplots()
    assert plot.worst_examples(found, x, ax, count=4, shape=(3, 3)) is ax
    good = (found.success & (found.changed > 0)).nonzero().flatten()
    few = found.changed[good].sort().values[:4]
    assert len(ax.patches) == int(few.sum())
    assert len(ax.texts) == 2 * len(few)
    assert ax.images[0].get_array().shape[:2] == (8, 5 * len(few))


def test_examples_of_images_vectors_and_of_no_attack() -> None:
    network, x = NETWORKS["conv_avgpool"]()
    found = sparse_attack(network, x, domain=Box(-20, 20))
    plot.worst_examples(found, x, Figure().subplots())
    network, x, found = attacked()
    plot.worst_examples(found, x, Figure().subplots(), names=["a", "b", "c"])
    ax = Figure().subplots()
    none = sparse_attack(network, x[:1], domain=Box(x[0], x[0]))
    plot.worst_examples(none, x[:1], ax)
    assert [text.get_text() for text in ax.texts] == ["no attack found"]


def test_the_curve_is_two_steps() -> None:
    ax = Figure().subplots()
    _, _, found = attacked()
    curve = attack_curve(found)
    assert plot.attack_curve(curve, ax) is ax
    assert "\n" not in repr(curve)
    left, hit = ax.get_lines()
    assert np.array_equal(left.get_ydata(), curve.accuracy)
    assert np.array_equal(hit.get_ydata(), curve.success)

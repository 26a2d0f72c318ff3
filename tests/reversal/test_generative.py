"""The generative model and its reverse against Monte-Carlo and hand-made cases."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relulens.errors import InvalidArgumentError, ShapeError
from relulens.reversal.generative import GenerativeModel
from relulens.reversal.prediction import conditions, predicted_error
from relulens.reversal.recognition import recognise


def relative(found, wanted):
    return ((found - wanted).square().sum(1) / wanted.square().sum(1)).mean().item()


def test_moments_of_the_reverse_match_the_formula():
    h = torch.zeros(1, 40, dtype=torch.float64)
    h[0, :4] = torch.tensor([1.0, 2.0, 0.5, 3.0])
    values = []
    for seed in range(3000):
        model = GenerativeModel.gaussian((60, 40), keep=0.5, seed=seed)
        x = model.sample(h, seed=seed)
        values.append(recognise(model, x, threshold="linear").linear[0])
    drawn = torch.stack(values)
    # The sampled gain divides by the drawn Frobenius norm, so compare up to 3 percent.
    predicted = predicted_error(h, 60, keep=0.5)
    error = predicted.deviation[0] / math.sqrt(len(values))
    assert ((drawn.mean(0) - h[0]).abs() < 5 * error + 0.03 * h[0]).all()
    np.testing.assert_allclose(drawn.std(0), predicted.deviation[0], rtol=0.06)


@pytest.mark.parametrize("active", [5, 10, 20])
def test_thresholded_errors_follow_the_prediction(active):
    found = {"linear": [], "soft": [], "hard": []}
    for seed in range(6):
        model = GenerativeModel.gaussian((2000, 500), seed=seed)
        h = model.hidden(8, active, seed=seed)
        x = model.sample(h, seed=seed)
        for name, errors in found.items():
            norm = h.norm(dim=1)
            errors.append(
                relative(recognise(model, x, threshold=name, norm=norm).hidden, h)
            )
    predicted = predicted_error(h, 2000)
    for name, errors in found.items():
        wanted = float(getattr(predicted, name)[0])
        assert np.mean(errors) == pytest.approx(wanted, rel=0.25), name


def test_refit_is_exact_where_the_support_is_right():
    model = GenerativeModel.gaussian((3000, 300), keep=0.7, seed=3)
    h = model.hidden(10, 6, seed=1, values="uniform")
    result = recognise(model, model.sample(h, seed=2), threshold="debiased")
    assert result.solved.all()
    torch.testing.assert_close(result.hidden, h, rtol=1e-12, atol=1e-12)


def test_norm_is_estimated_from_the_observed_layer():
    model = GenerativeModel.gaussian((4000, 200), keep=0.5, seed=0)
    h = model.hidden(5, 8, values="uniform")
    x = model.sample(h)
    guessed = recognise(model, x).offset
    told = recognise(model, x, norm=h.norm(dim=1)).offset
    torch.testing.assert_close(guessed, told, rtol=0.1, atol=0)


def test_offset_above_everything_is_said():
    model = GenerativeModel.gaussian((50, 10), seed=0)
    h = model.hidden(3, 2)
    result = recognise(model, model.sample(h), delta=100.0)
    assert result.empty.all()
    assert (result.hidden == 0).all()


def test_given_weights_of_any_variance_reverse_alike():
    model = GenerativeModel.gaussian((800, 100), seed=0)
    scaled = GenerativeModel.from_matrices([7.0 * model.weights[0]])
    h = model.hidden(4, 5)
    first = recognise(model, model.sample(h), threshold="linear").linear
    second = recognise(scaled, scaled.sample(h), threshold="linear").linear
    torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-10)


def test_layers_chain_and_dropout_drops():
    model = GenerativeModel.gaussian((600, 200, 30), keep=(1.0, 0.1), seed=0)
    h = model.hidden(20, 3)
    x, middle, top = model.sample_layers(h)
    assert (x.shape, middle.shape, top.shape) == ((20, 600), (20, 200), (20, 30))
    assert (middle > 0).double().mean().item() == pytest.approx(0.05, abs=0.015)


@given(n=st.integers(2, 9), m=st.integers(1, 9), seed=st.integers(0, 99))
def test_samples_are_nonnegative_and_homogeneous(n, m, seed):
    model = GenerativeModel.gaussian((n, m), seed=seed)
    h = model.hidden(2, 1, seed=seed)
    x = model.sample(h)
    assert (x >= 0).all()
    torch.testing.assert_close(model.sample(4.0 * h), 4.0 * x)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: GenerativeModel.gaussian((5, 3), keep=0.0), "keep|kept"),
        (lambda: GenerativeModel.gaussian((5, 3), keep=1.5), "kept"),
        (lambda: GenerativeModel.gaussian((5,)), "sizes"),
        (lambda: GenerativeModel.gaussian((5, 3)).hidden(1, 4), "4 entries"),
        (lambda: conditions((5, 3), 4), "4 units"),
        (lambda: GenerativeModel.from_matrices([torch.zeros(3, 2)]), "zero"),
        (
            lambda: GenerativeModel.from_matrices([torch.ones(3, 2), torch.ones(3, 2)]),
            "reads 2",
        ),
    ],
)
def test_bad_arguments_are_refused(make, word):
    with pytest.raises(InvalidArgumentError, match=word):
        make()


def test_wrong_hidden_shape_is_refused():
    with pytest.raises(ShapeError) as caught:
        GenerativeModel.gaussian((5, 3)).sample(torch.zeros(2, 4))
    assert caught.value.wanted == (3,)


def test_conditions_name_what_fails():
    good, bad = conditions((900, 100), 60)[0], conditions((50, 60), 3)[0]
    assert good.holds
    assert good.density == 60 / 900
    assert not bad.holds
    assert any("m = 60" in warning for warning in bad.warnings)
    assert any("k^2 = 9" in warning for warning in bad.warnings)

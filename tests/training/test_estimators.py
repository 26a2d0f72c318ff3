"""The estimators: scikit-learn's own checks, digits, and refusals."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from relulens.errors import InvalidArgumentError
from relulens.implicit.wellposedness import wellposedness
from relulens.training import ImplicitClassifier, ImplicitRegressor

QUICK = {
    "epochs": 20,
    "states": 6,
    "batch_size": 1000,
    "learning_rate": 0.1,
    "random_state": 0,
}


@parametrize_with_checks([
    ImplicitClassifier(**QUICK),
    ImplicitRegressor(**QUICK),
])
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", ["gradient", "fenchel", "state-driven"])
def test_digits_are_learned_and_the_model_is_well_posed(method):
    x, y = load_digits(return_X_y=True)
    settings = {"epochs": 10, "states": 30, "random_state": 0, "method": method}
    found = ImplicitClassifier(**settings).fit(x[:700], y[:700])
    assert found.score(x[700:1000], y[700:1000]) > 0.8
    proof = wellposedness(found.model_)
    assert proof.verdict == "well-posed"
    assert proof.contraction < 0.951
    assert found.predict_proba(x[:5]).sum(1) == pytest.approx(1)


def test_two_outputs_in_the_user_s_units():
    x, y = load_diabetes(return_X_y=True)
    both = np.stack([y, 3 * y + 1], 1)
    found = ImplicitRegressor(12, method="fenchel", epochs=5, random_state=0)
    outputs = found.fit(x, both).predict(x)
    assert outputs.shape == both.shape
    np.testing.assert_allclose(outputs[:, 1], 3 * outputs[:, 0] + 1, rtol=1e-8)
    assert found.score(x, both) > 0.3


def test_a_robust_term_lowers_what_it_sums():
    x, y = load_digits(return_X_y=True)
    sums = []
    for robust in (0.0, 1e-2):
        found = ImplicitClassifier(20, epochs=4, robust=robust, random_state=0)
        model = found.fit(x[:300], y[:300]).model_
        A, B, C, D = (
            torch.from_numpy(abs(part.to_sparse()).toarray())
            for part in (model.A, model.B, model.C, model.D)
        )
        loop = torch.linalg.inv(torch.eye(20).double() - A)
        sums.append(float((C @ loop @ B + D).sum()))
    assert sums[1] < 0.8 * sums[0]


def test_refusals():
    x, y = load_digits(return_X_y=True)
    with pytest.raises(InvalidArgumentError, match="newton"):
        ImplicitClassifier(method="newton").fit(x[:50], y[:50])
    with pytest.raises(InvalidArgumentError, match=r"kappa is 1\.0"):
        ImplicitClassifier(kappa=1.0).fit(x[:50], y[:50])
    with pytest.raises(ValueError, match="1 class"):
        ImplicitClassifier().fit(x[:50], np.zeros(50))
    with pytest.raises(ValueError, match="Unknown label type"):
        ImplicitClassifier().fit(x[:50], np.linspace(0, 1, 50))
    with pytest.raises(ValueError, match="NaN"):
        ImplicitRegressor().fit(np.full((5, 2), np.nan), np.zeros(5))
    with pytest.raises(NotFittedError):
        ImplicitClassifier().predict(x[:5])

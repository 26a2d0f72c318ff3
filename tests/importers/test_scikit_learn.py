"""Perceptrons of scikit-learn against their own predictions."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from relulens.errors import ImportMismatchError, ModelLoadError, NotFiniteError
from relulens.graph.evaluate import evaluate
from relulens.importers.scikit_learn import from_sklearn

X = np.random.default_rng(0).normal(size=(40, 3))
CLASSES = np.digitize(X[:, 0] * X[:, 1], [-0.3, 0.3])

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_classifiers_give_logits(activation: str) -> None:
    model = MLPClassifier((5, 4), activation=activation, max_iter=15, random_state=0)
    model.fit(X, np.array(["a", "b", "c"])[CLASSES])
    network = from_sklearn(model)
    logits = evaluate(network, X)
    proba = torch.as_tensor(model.predict_proba(X))
    assert torch.allclose(logits.softmax(1), proba, atol=1e-14)
    assert network.provenance.agreement is not None
    assert network.provenance.agreement.difference <= 1e-12
    assert any("softmax" in note for note in network.provenance.notes)
    assert "classes: a, b, c" in network.provenance.notes


def test_two_classes_have_two_logits() -> None:
    model = MLPClassifier((4,), max_iter=15, random_state=0).fit(X, X[:, 0] > 0)
    network = from_sklearn(model)
    logits = evaluate(network, X)
    assert network.output_shape == (2,)
    assert bool((logits[:, 0] == 0).all())
    proba = torch.as_tensor(model.predict_proba(X))
    assert torch.allclose(logits.softmax(1), proba, atol=1e-14)


def test_several_labels_have_one_logit_each() -> None:
    labels = np.stack([X[:, 0] > 0, X[:, 1] > 0], 1).astype(int)
    model = MLPClassifier((4,), max_iter=15, random_state=0).fit(X, labels)
    proba = torch.as_tensor(model.predict_proba(X))
    assert torch.allclose(evaluate(from_sklearn(model), X).sigmoid(), proba, atol=1e-14)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regressors_give_predictions(loss: str) -> None:
    model = MLPRegressor(
        loss=loss, hidden_layer_sizes=(5,), max_iter=15, random_state=0
    ).fit(X, np.abs(X[:, 0]))
    network = from_sklearn(model, mean=[0.1, 0.2, 0.3], std=2.0)
    theirs = torch.as_tensor(model.predict((X - [0.1, 0.2, 0.3]) / 2.0))
    assert torch.allclose(evaluate(network, X)[:, 0], theirs, atol=1e-14)
    two = MLPRegressor(hidden_layer_sizes=(3,), max_iter=15, random_state=0)
    two.fit(X, X[:, :2])
    assert from_sklearn(two).output_shape == (2,)


def test_layers_have_names_and_parameters() -> None:
    model = MLPRegressor(hidden_layer_sizes=(5, 4), max_iter=5, random_state=0)
    network = from_sklearn(model.fit(X, X[:, 0]))
    assert network.names() == [
        "linear0",
        "relu0",
        "linear1",
        "relu1",
        "linear2",
        "output",
    ]
    assert network.nodes[network.find("linear1")].parameters == (
        "coefs_.1",
        "intercepts_.1",
    )


def test_others_are_refused() -> None:
    with pytest.raises(ModelLoadError, match="LogisticRegression"):
        from_sklearn(LogisticRegression())
    with pytest.raises(ModelLoadError, match="Call fit"):
        from_sklearn(MLPClassifier())
    model = MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0)
    model.fit(X, X[:, 0])
    model.coefs_[0][1, 2] = np.inf
    with pytest.raises(NotFiniteError, match=r"1 of the 15 numbers of coefs_\[0\]"):
        from_sklearn(model)
    model.coefs_[0][1, 2] = 0.0
    model.activation = "logistic"
    from_sklearn(model)
    model.predict = lambda x: np.zeros(len(x))
    with pytest.raises(ImportMismatchError):
        from_sklearn(model)

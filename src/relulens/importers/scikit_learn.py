"""Networks from fitted scikit-learn perceptrons."""

import hashlib
from dataclasses import replace

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from relulens.errors import (
    ImportMismatchError,
    InvalidArgumentError,
    ModelLoadError,
    NotFiniteError,
)
from relulens.graph.domain import Box
from relulens.graph.evaluate import evaluate
from relulens.graph.network import Agreement, Network, Provenance
from relulens.graph.smooth import EXP, SIGMOID, TANH
from relulens.importers.agreement import (
    DOUBLE_TOLERANCE,
    SINGLE_TOLERANCE,
    relative_difference,
    sample_inputs,
)
from relulens.importers.builder import Builder, with_batch
from relulens.importers.layers import normalised
from relulens.importers.operations.activations import relu
from relulens.importers.operations.arithmetic import linear
from relulens.importers.values import Value


def from_sklearn(
    estimator: MLPClassifier | MLPRegressor,
    *,
    mean: object = None,
    std: object = None,
    domain: Box | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    check: bool = True,
) -> Network:
    """Return the network of a fitted perceptron; a classifier gives its logits.

    A classifier of two classes has one logit in scikit-learn; here it has two, the
    first of them 0, so that there is one for every class.

    Args:
        estimator: A fitted ``MLPClassifier`` or ``MLPRegressor``.
        mean: Subtracted from the input first; a number, or one a feature.
        std: The input is divided by it first.
        domain: The inputs that the network is meant for.
        dtype: Type of every number.
        device: Where every number lives.
        check: Whether to compare the network with the estimator.

    Returns:
        The network; pre-activations are named ``"linear{i}"``, activations such as
        ``"relu0"``; the classes stand in ``provenance.notes``.

    Raises:
        ModelLoadError: It is another estimator, or not fitted.
        NotFiniteError: A coefficient is NaN or infinite.
        ImportMismatchError: The network differs from the estimator.
    """
    _check(estimator)
    build = Builder()
    x = build.input("input", with_batch((int(estimator.n_features_in_),)))
    x = normalised(build, x, mean, std)
    last, activation = len(estimator.coefs_) - 1, _activation(estimator)
    for i, (weight, bias) in enumerate(
        zip(estimator.coefs_, estimator.intercepts_, strict=True)
    ):
        build.parameters = (f"coefs_.{i}", f"intercepts_.{i}")
        matrix, shift = torch.as_tensor(weight.T), torch.as_tensor(bias)
        if i == last and _is_binary(estimator):
            matrix, shift = _two_logits(matrix), _two_logits(shift)
        x = linear(build, f"linear{i}", x, matrix, shift)
        build.cut(f"linear{i}", x)
        if i < last:
            x = _activated(build, f"{activation}{i}", x, activation)
    if estimator.out_activation_ == "exp":
        x = build.smooth("exp", x, EXP)
    network = build.network(
        x,
        provenance=Provenance(
            format="scikit-learn", sha256=_hash(estimator), notes=_notes(estimator)
        ),
        domain=domain,
        dtype=dtype,
        device=device,
    )
    return _agreeing(network, estimator, mean, std) if check else network


def _check(estimator: object) -> None:
    if not isinstance(estimator, (MLPClassifier, MLPRegressor)):
        raise ModelLoadError(
            f"cannot import the estimator: it is a {type(estimator).__name__}, and an"
            " MLPClassifier or MLPRegressor is needed. Take it out of its pipeline, and"
            " pass a scaler's numbers as mean and std."
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise ModelLoadError(
            f"cannot import the estimator: this {type(estimator).__name__} has 0"
            " layers, since it is not fitted. Call fit first."
        ) from error
    for name, arrays in (
        ("coefs_", estimator.coefs_),
        ("intercepts_", estimator.intercepts_),
    ):
        for i, array in enumerate(arrays):
            bad = int((~np.isfinite(array)).sum())
            if bad:
                raise NotFiniteError(
                    f"cannot import the estimator: {bad} of the {array.size} numbers of"
                    f" {name}[{i}] are NaN or infinite. Fit it again."
                )


def _activation(estimator: MLPClassifier | MLPRegressor) -> str:
    return str(estimator.get_params()["activation"])


def _is_binary(estimator: MLPClassifier | MLPRegressor) -> bool:
    return (
        isinstance(estimator, MLPClassifier)
        and estimator.n_outputs_ == 1
        and estimator.out_activation_ == "logistic"
    )


def _two_logits(one: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(one), one])


def _activated(build: Builder, name: str, x: Value, activation: str) -> Value:
    match activation:
        case "relu":
            return relu(build, name, x)
        case "tanh":
            return build.smooth(name, x, TANH)
        case "logistic":
            return build.smooth(name, x, SIGMOID)
        case "identity":
            return x
    raise InvalidArgumentError(
        f"cannot import the estimator: its activation {activation!r} is none of relu,"
        " tanh, logistic, identity. Fit it with one of those."
    )


def _notes(estimator: MLPClassifier | MLPRegressor) -> tuple[str, ...]:
    if not isinstance(estimator, MLPClassifier):
        return ()
    shown = ", ".join(map(str, estimator.classes_))
    notes = [
        f"the output is the logits before {estimator.out_activation_}, which was cut",
        f"classes: {shown}",
    ]
    if _is_binary(estimator):
        notes.append("the first of the two logits is 0: scikit-learn has one for both")
    return tuple(notes)


def _hash(estimator: MLPClassifier | MLPRegressor) -> str:
    """Return the SHA-256 of all coefficients with their types and shapes."""
    digest = hashlib.sha256(_activation(estimator).encode())
    for array in (*estimator.coefs_, *estimator.intercepts_):
        digest.update(f"{array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _agreeing(
    network: Network, estimator: MLPClassifier | MLPRegressor, mean: object, std: object
) -> Network:
    """Return the network with its agreement: of probabilities for a classifier."""
    x = sample_inputs(network.input_shape, domain=network.domain)
    given = x.numpy()
    if mean is not None:
        given = given - np.asarray(mean)
    if std is not None:
        given = given / np.asarray(std)
    ours = evaluate(network, x).to("cpu", torch.float64)
    if isinstance(estimator, MLPClassifier):
        theirs = estimator.predict_proba(given)
        several = estimator.out_activation_ == "softmax" or _is_binary(estimator)
        ours = torch.softmax(ours, 1) if several else torch.sigmoid(ours)
    else:
        theirs = estimator.predict(given)
        ours = ours.squeeze(1) if estimator.n_outputs_ == 1 else ours
    exact = network.dtype == torch.float64 and estimator.coefs_[0].dtype == np.float64
    tolerance = DOUBLE_TOLERANCE if exact else SINGLE_TOLERANCE
    difference = relative_difference(ours, torch.as_tensor(theirs, dtype=torch.float64))
    if not difference <= tolerance:
        raise ImportMismatchError("scikit-learn", difference, tolerance)
    agreement = Agreement(source="scikit-learn", difference=difference, samples=len(x))
    return replace(network, provenance=replace(network.provenance, agreement=agreement))

"""Implicit models as scikit-learn estimators."""

from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MultiOutputMixin,
    RegressorMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_is_fitted,
    validate_data,  # pyrefly: ignore[missing-module-attribute]
)
from torch import Tensor, nn

from relulens.errors import InvalidArgumentError
from relulens.implicit.equilibrium import equilibrium
from relulens.implicit.model import ImplicitModel
from relulens.implicit.phi import as_activation
from relulens.training.fenchel import fenchel_fit
from relulens.training.implicit_layer import ImplicitLayer
from relulens.training.penalties import L1
from relulens.training.robust_term import carried_change
from relulens.training.state_driven import TeacherStates, state_driven

Method: TypeAlias = Literal["gradient", "fenchel", "state-driven"]
METHODS = ("gradient", "fenchel", "state-driven")


class _Settings(BaseEstimator):
    """The parameters of both estimators, and training by each method."""

    model_: ImplicitModel

    def __init__(
        self,
        states: int = 60,
        *,
        method: Method = "gradient",
        kappa: float = 0.95,
        epochs: int = 60,
        batch_size: int = 100,
        learning_rate: float = 5e-3,
        robust: float = 0.0,
        penalty: float = 1e-3,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.states = states
        self.method = method
        self.kappa = kappa
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.robust = robust
        self.penalty = penalty
        self.random_state = random_state

    def _train(self, x: Tensor, y: Tensor, loss: nn.Module) -> ImplicitModel:
        """Return a model of inputs, centred and scaled, and of one target a column.

        Raises:
            InvalidArgumentError: The method is unknown.
        """
        random = check_random_state(self.random_state)
        seed = int(random.randint(2**31 - 1))
        match self.method:
            case "gradient":
                return self._by_gradient(x, y, loss, seed)
            case "fenchel":
                return fenchel_fit(
                    x,
                    y,
                    states=self.states,
                    kappa=self.kappa,
                    rounds=self.epochs,
                    seed=seed,
                ).model
            case "state-driven":
                return self._from_teacher(x, y, loss, seed)
            case _:
                raise InvalidArgumentError(
                    f"cannot train an implicit model: method {self.method!r} is none of"
                    f" the {len(METHODS)} known, {', '.join(METHODS)}. Use one of them."
                )

    def _by_gradient(
        self, x: Tensor, y: Tensor, loss: nn.Module, seed: int
    ) -> ImplicitModel:
        layer = ImplicitLayer(
            x.shape[1], self.states, y.shape[1], kappa=self.kappa, seed=seed
        )
        radius = torch.ones(x.shape[1])

        def term() -> Tensor:
            return self.robust * carried_change(layer, radius).mean()

        self._steps(layer, x.float(), y.float(), loss, seed, term)
        return layer.to_model().to(torch.float64)

    def _steps(
        self,
        module: nn.Module,
        x: Tensor,
        y: Tensor,
        loss: nn.Module,
        seed: int,
        term: object = None,
    ) -> None:
        optimiser = torch.optim.Adam(module.parameters(), self.learning_rate)
        source = torch.Generator().manual_seed(seed)
        for _ in range(self.epochs):
            order = torch.randperm(len(x), generator=source)
            for rows in order.split(self.batch_size):
                value = loss(module(x[rows]), y[rows])
                if callable(term) and self.robust:
                    value = value + term()
                optimiser.zero_grad()
                value.backward()
                optimiser.step()
                if isinstance(module, ImplicitLayer):
                    module.project_()

    def _from_teacher(
        self, x: Tensor, y: Tensor, loss: nn.Module, seed: int
    ) -> ImplicitModel:
        """Train a network with one hidden layer, and fit its states."""
        source = torch.Generator().manual_seed(seed)
        first = nn.Linear(x.shape[1], self.states)
        last = nn.Linear(self.states, y.shape[1])
        with torch.no_grad():
            for part in (first, last):
                drawn = torch.randn(part.weight.shape, generator=source)
                part.weight.copy_(drawn / part.in_features**0.5)
                part.bias.zero_()
        self._steps(
            nn.Sequential(first, nn.ReLU(), last), x.float(), y.float(), loss, seed
        )
        with torch.no_grad():
            argument = first.double()(x)
            state = argument.relu()
            outputs = last.double()(state)
        teacher = TeacherStates(
            x=x,
            states=state,
            arguments=argument,
            outputs=outputs,
            phi=as_activation("relu", [self.states]),
            vector=torch.ones(self.states, dtype=torch.float64),
        )
        found = state_driven(teacher, L1(self.penalty), kappa=self.kappa)
        return found.model

    def _outputs(self, x: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        given = validate_data(self, x, reset=False, dtype=np.float64)
        with torch.no_grad():
            return equilibrium(self.model_, given).output.numpy()

    def _fitted_to(self, x: NDArray[np.float64], model: ImplicitModel) -> ImplicitModel:
        """Return the model of inputs in the user's units."""
        shift = torch.from_numpy(x.mean(0))
        spread = torch.from_numpy(x.std(0))
        scale = torch.where(spread > 0, 1 / spread.clamp(min=1e-300), 1.0)
        B = torch.from_numpy(model.B.to_sparse().toarray()) * scale
        D = torch.from_numpy(model.D.to_sparse().toarray()) * scale
        return ImplicitModel(
            model.A, B, model.C, D, model.phi, model.a - B @ shift, model.d - D @ shift
        )


def _centred(x: NDArray[np.float64]) -> Tensor:
    spread = x.std(0)
    return torch.from_numpy((x - x.mean(0)) / np.where(spread > 0, spread, 1.0))


class ImplicitClassifier(ClassifierMixin, _Settings):
    """A classifier ``y = C x + D u + d`` on the equilibrium ``x = phi(A x + B u + a)``.

    Args:
        states: Entries n of the state.
        method: ``"gradient"`` (Adam, rows projected after every step), ``"fenchel"``
            (blocks, squared error) or ``"state-driven"`` (from a network with one
            hidden layer that is trained first).
        kappa: The factor of contraction, in (0, 1).
        epochs: Epochs, or rounds of blocks.
        batch_size: Samples a step.
        learning_rate: Adam's.
        robust: Weight of the mean row sum of S in the loss, for ``"gradient"``.
        penalty: Weight of the l1 penalty, for ``"state-driven"``.
        random_state: Seed or generator.

    Attributes:
        model_: The ``ImplicitModel``, of inputs in the user's units.
        classes_: The labels.
        n_features_in_: Entries of an input.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> ImplicitClassifier(10, random_state=0).fit(x, y).score(x, y) > 0.9
        True
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> "ImplicitClassifier":
        """Train on inputs [N, p] and labels [N].

        Raises:
            ValueError: Labels or inputs are not what a classifier can take.
        """
        x, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                "cannot train a classifier: the labels have"
                f" {len(self.classes_)} class, and at least 2 are needed."
                " Give samples of another class."
            )
        target = torch.eye(len(self.classes_), dtype=torch.float64)[index]
        model = self._train(_centred(x), target, nn.CrossEntropyLoss())
        self.model_ = self._fitted_to(x, model)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the outputs [N, classes]; for two classes their difference [N]."""
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the softmax of the outputs [N, classes]."""
        return torch.softmax(torch.from_numpy(self._outputs(X)), 1).numpy()

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """Return the labels [N]."""
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(1)]


class ImplicitRegressor(MultiOutputMixin, RegressorMixin, _Settings):
    """A regression ``y = C x + D u + d`` on the equilibrium of an implicit model.

    Args:
        states: Entries n of the state.
        method: ``"gradient"``, ``"fenchel"`` or ``"state-driven"``, as for the
            classifier; all with the squared error.
        kappa: The factor of contraction, in (0, 1).
        epochs: Epochs, or rounds of blocks.
        batch_size: Samples a step.
        learning_rate: Adam's.
        robust: Weight of the mean row sum of S in the loss, for ``"gradient"``.
        penalty: Weight of the l1 penalty, for ``"state-driven"``.
        random_state: Seed or generator.

    Attributes:
        model_: The ``ImplicitModel``, of inputs and outputs in the user's units.
        n_features_in_: Entries of an input.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> "ImplicitRegressor":
        """Train on inputs [N, p] and targets [N] or [N, q]."""
        x, values = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True
        )
        self._flat = values.ndim == 1
        wanted = values.reshape(len(values), -1).astype(np.float64)
        level, spread = wanted.mean(0), wanted.std(0)
        spread = np.where(spread > 0, spread, 1.0)
        target = torch.from_numpy((wanted - level) / spread)
        model = self._fitted_to(x, self._train(_centred(x), target, nn.MSELoss()))
        scale = torch.from_numpy(spread)
        C = torch.from_numpy(model.C.to_sparse().toarray()) * scale[:, None]
        D = torch.from_numpy(model.D.to_sparse().toarray()) * scale[:, None]
        offset = model.d * scale + torch.from_numpy(level)
        self.model_ = ImplicitModel(model.A, model.B, C, D, model.phi, model.a, offset)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the outputs, [N] or [N, q] as the targets were."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat else outputs

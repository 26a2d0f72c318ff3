"""Training of implicit models: projections, state-driven rows, beside their peers.

Run ``python benchmarks/implicit_training.py`` for everything, or name parts:
``projection``, ``rows``, ``accuracy``. The peers of ``benchmarks/peers.txt`` are
optional; a line says where one is not installed. Times are process seconds on one
thread, in the same run.
"""

import argparse
import importlib.util
import time
import warnings

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from relulens.implicit.equilibrium import equilibrium
from relulens.importers.layers import from_layers
from relulens.training import (
    L1,
    BerHu,
    Groups,
    ImplicitClassifier,
    TeacherStates,
    project_rows,
    pruned,
    state_driven,
    teacher_states,
)


def row_by_row(matrix: np.ndarray, radius: float) -> np.ndarray:
    """Project in a loop over the rows, as every peer does."""
    result = matrix.copy()
    for i, row in enumerate(matrix):
        size = np.abs(row)
        if size.sum() <= radius:
            continue
        falling = np.sort(size)[::-1]
        above = np.cumsum(falling) - radius
        count = np.nonzero(falling > above / np.arange(1, len(row) + 1))[0][-1]
        shrunk = np.maximum(size - above[count] / (count + 1), 0)
        result[i] = np.sign(row) * shrunk
    return result


def by_sorting(matrix: torch.Tensor, radius: float) -> torch.Tensor:
    """Project all rows at once by sorting."""
    size = matrix.double().abs()
    falling = size.sort(1, descending=True).values
    above = falling.cumsum(1) - radius
    places = torch.arange(1, matrix.shape[1] + 1)
    count = (falling > above / places).sum(1, keepdim=True)
    threshold = (above.gather(1, count - 1) / count).clamp(min=0)
    return matrix.sign() * (size - threshold).clamp(min=0).to(matrix.dtype)


def seconds(run: object, repeats: int = 3) -> float:
    """Return the least process time of a few runs."""
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        run()
        found.append(time.process_time() - begun)
    return min(found)


def projection() -> None:
    """Time the projection of n rows onto balls of radius .95."""
    project_rows(torch.ones(2, 2), 1.0)
    for n in (300, 2000):
        matrix = torch.randn(n, n)
        ours = seconds(lambda m=matrix: project_rows(m, 0.95))
        sort = seconds(lambda m=matrix: by_sorting(m, 0.95))
        loop = seconds(lambda m=matrix: row_by_row(m.double().numpy(), 0.95), 1)
        print(
            f"projection n={n}: ours {1e3 * ours:.1f} ms, sorted {sort / ours:.1f} x,"
            f" row loop {loop / ours:.1f} x"
        )


def teacher(seed: int = 0) -> tuple[MLPClassifier, TeacherStates, tuple]:
    """Return a trained 64-60-40-10 network and its states on digits."""
    x, y = load_digits(return_X_y=True)
    x = x / 16
    module = MLPClassifier((60, 40), max_iter=60, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        module.fit(x[:1200], y[:1200])
    layers = [
        (w.T.copy(), b) for w, b in zip(module.coefs_, module.intercepts_, strict=True)
    ]
    states = teacher_states(from_layers(layers), x[:1200], kappa=0.99)
    return module, states, (x[1200:], y[1200:])


def by_clarabel(states: TeacherStates, weight: float, rows: list[int]) -> list[float]:
    """Return the optimal values of rows, as cvxpy with Clarabel finds them."""
    import cvxpy

    scaled = (states.states / states.vector).numpy()
    targets = (states.arguments / states.vector).numpy()
    data, n = np.concatenate([scaled, states.x.numpy()], 1), scaled.shape[1]
    values = []
    for i in rows:
        w, c = cvxpy.Variable(data.shape[1]), cvxpy.Variable()
        off = cvxpy.sum_squares(data @ w + c - targets[:, i]) / (2 * len(data))
        problem = cvxpy.Problem(
            cvxpy.Minimize(off + weight * cvxpy.norm1(w)), [cvxpy.norm1(w[:n]) <= 0.99]
        )
        values.append(problem.solve(solver="CLARABEL"))
    return values


def rows() -> None:
    """Compare rows of a digits teacher with Clarabel's: time, value, feasibility."""
    _, states, _ = teacher()
    n = states.states.shape[1]
    for weight in (1e-4, 1e-3, 1e-2):
        begun = time.process_time()
        found = state_driven(states, L1(weight), kappa=0.99)
        ours = time.process_time() - begun
        longest = float(found.hidden.rows[:, :n].abs().sum(1).max())
        gap = float(found.hidden.gap.max())
        line = (
            f"rows, l1 {weight:g}: {n} in {ours:.2f} s, largest gap {gap:.1e},"
            f" longest row {longest:.15f} (ball .99), zeros {found.zeros:.2f}"
        )
        if importlib.util.find_spec("cvxpy"):
            sample = list(range(0, n, 20))
            begun = time.process_time()
            values = by_clarabel(states, weight, sample)
            theirs = (time.process_time() - begun) / len(sample) * n
            worst = max(
                float(found.hidden.objective[i]) - v
                for i, v in zip(sample, values, strict=True)
            )
            line += (
                f"; Clarabel {theirs:.1f} s ({theirs / ours:.1f} x),"
                f" our objective minus theirs at most {worst:.1e}"
            )
        else:
            line += "; cvxpy is not installed (benchmarks/peers.txt)"
        print(line)


def accuracy(seeds: int = 3) -> None:
    """Measure test accuracy of teachers, of models from them, and of trained ones."""
    penalties = {
        "l1 1e-3": L1(1e-3),
        "l1 1e-2": L1(1e-2),
        "BerHu": BerHu(1e-3, 1e-4),
        "groups of 4": Groups(1e-3, torch.arange(164) // 4),
    }
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(seeds):
        module, states, (x, y) = teacher(seed)
        found.setdefault("teacher", []).append((module.score(x, y), 0.0))
        for name, penalty in penalties.items():
            made = state_driven(states, penalty, kappa=0.99, tolerance=1e-6)
            right = equilibrium(made.model, x).output.argmax(1).numpy() == y
            found.setdefault(name, []).append((right.mean(), made.zeros))
            if name == "l1 1e-2":
                less = pruned(made.model, x, error=0.1)
                right = equilibrium(less.model, x).output.argmax(1).numpy() == y
                share = less.dropped / (less.dropped + less.kept)
                key = f"{name}, pruned to a change of .1 (share of weights dropped)"
                found.setdefault(key, []).append((right.mean(), share))
        whole, labels = load_digits(return_X_y=True)
        for method in ("gradient", "fenchel"):
            learner = ImplicitClassifier(method=method, random_state=seed)
            learner.fit(whole[:1200], labels[:1200])
            score = learner.score(whole[1200:], labels[1200:])
            found.setdefault(f"60 states by {method}", []).append((score, 0.0))
    for name, values in found.items():
        right, zeros = np.array(values).T
        print(
            f"accuracy, {name}: {right.mean():.3f} (deviation {right.std():.3f} over"
            f" {seeds} seeds), zeros {zeros.mean():.2f}"
        )


PARTS = {"projection": projection, "rows": rows, "accuracy": accuracy}


def main() -> None:
    """Run the parts named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name in given.parts or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()

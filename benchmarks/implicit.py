"""Time equilibria and their gradients beside torchidl and torchdeq.

Run: python benchmarks/implicit.py [--quick] [case ...] ; one thread, one process. n =
300 states, p = 784 inputs, 100 inputs a batch. Every method's tolerance starts at 1e-5
and is tightened by factors of three until the true relative error of its state (against
float64) is at most 1e-5, and then until that of the gradient of A is at most 1e-4 in
float32, 1e-6 in float64; "never" says that it does not get there within 3000 turns, or
within 30 seconds of searching for the tolerance (5 where quick). Seconds are processor
time, the median of interleaved runs.

Peers: pip install --no-deps -r benchmarks/peers.txt
"""

import importlib.util
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import relulens as rl
from relulens.implicit.differentiable import fixed_point

STATES, INPUTS, BATCH = 300, 784, 100

PATIENCE = 30.0
"""Seconds of a search for tolerances, forward and then backward."""

Solver = Callable[[Tensor, Tensor, Tensor, float, float], Tensor]


def cases() -> dict[str, tuple[np.ndarray, np.ndarray, torch.dtype]]:
    """Return A and B by name: how slowly the plain iteration converges grows."""
    rng = np.random.default_rng(0)
    gauss = rng.standard_normal((STATES, STATES))
    sparse = np.zeros((STATES, STATES))
    for row in sparse:
        row[rng.choice(STATES, 4, replace=False)] = rng.standard_normal(4)
    positive = rng.random((STATES, STATES))

    def largest(matrix: np.ndarray) -> float:
        return float(np.abs(np.linalg.eigvals(np.abs(matrix))).max())

    B = rng.standard_normal((STATES, INPUTS)) / np.sqrt(INPUTS)
    single, double = torch.float32, torch.float64
    return {
        "easy": (gauss * 0.95 / np.abs(gauss).sum(1).max(), B, single),
        "mid": (sparse * 0.95 / largest(sparse), B, single),
        "hard": (positive * 0.95 / largest(positive), B, single),
        "0.99": (positive * 0.99 / largest(positive), np.abs(B), double),
    }


def ours(A: Tensor, B: Tensor, u: Tensor, tolerance: float, back: float) -> Tensor:
    """Solve by the secant iteration, on one model's phi."""
    return fixed_point(A, u @ B.T, RELU, tolerance=tolerance, backward_tolerance=back)


RELU = rl.ImplicitModel(np.zeros((1, 1)), [[1.0]], [[1.0]]).phi


def torchidl_solver() -> Solver | None:
    """Return torchidl's function, from its file: its package needs torchvision."""
    found = importlib.util.find_spec("torchidl")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "implicit_function.py"
    spec = importlib.util.spec_from_file_location("torchidl_function", path)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = module.ImplicitFunction

    def solve(A: Tensor, B: Tensor, u: Tensor, tolerance: float, back: float) -> Tensor:
        function.set_parameters(
            mitr=3000, grad_mitr=3000, tol=tolerance, grad_tol=back, kappa=0.99
        )
        start = u.new_zeros((A.shape[0], u.shape[0]))
        return function.apply(A, B, start, u.T).T

    return solve


def torchdeq_solver(name: str) -> Solver | None:
    """Return torchdeq with one of its solvers."""
    if importlib.util.find_spec("torchdeq") is None:
        return None
    from torchdeq import get_deq

    def solve(A: Tensor, B: Tensor, u: Tensor, tolerance: float, back: float) -> Tensor:
        deq = get_deq(
            f_solver=name,
            b_solver=name,
            f_max_iter=3000,
            b_max_iter=3000,
            f_tol=tolerance,
            b_tol=back,
            f_stop_mode="rel",
            b_stop_mode="rel",
            ift=True,
        )
        b = u @ B.T
        start = torch.zeros_like(b)
        return deq(lambda x: torch.relu(x @ A.T + b), start)[0][-1]

    return solve


def exact(
    A: np.ndarray, B: np.ndarray, u: np.ndarray, weights: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Return the state, and the gradient of A, in float64 by active sets."""
    b = u @ B.T
    state = np.maximum(b, 0)
    for _ in range(20_000):
        new = np.maximum(state @ A.T + b, 0)
        moved, state = np.abs(new - state).max(), new
        if moved <= 1e-13 * np.abs(new).max():
            break
    on = (state @ A.T + b > 0).astype(float)
    eye = np.eye(len(A))
    for i, row in enumerate(on):
        state[i] = np.linalg.solve(eye - row[:, None] * A, row * b[i])
    back = np.stack([
        row * np.linalg.solve((eye - row[:, None] * A).T, w)
        for row, w in zip(on, weights, strict=True)
    ])
    return torch.from_numpy(state), torch.from_numpy(back.T @ state)


def relative(found: Tensor, wanted: Tensor, axis: int | None = None) -> float:
    """Return the largest error over the largest entry, of each row or of all."""
    size = wanted.abs().amax(1, keepdim=True) if axis else wanted.abs().max()
    return float(((found.detach().double() - wanted).abs() / size).max())


class Race:
    """One case: its data, what is right, and how a method is timed."""

    def __init__(self, A: np.ndarray, B: np.ndarray, dtype: torch.dtype) -> None:
        rng = np.random.default_rng(1)
        self.A, self.B, self.u, self.weights = (
            torch.from_numpy(x).to(dtype)
            for x in (
                A,
                B,
                rng.random((BATCH, INPUTS)),
                rng.standard_normal((BATCH, STATES)) / BATCH,
            )
        )
        parts = (self.A, self.B, self.u, self.weights)
        self.state, self.gradient = exact(*(x.double().numpy() for x in parts))
        self.accuracy = 1e-4 if dtype == torch.float32 else 1e-6
        self.A.requires_grad_()
        self.B.requires_grad_()

    def forward(self, solve: Solver, tolerance: float, back: float) -> Tensor:
        """Return the state."""
        return solve(self.A, self.B, self.u, tolerance, back)

    def both(self, solve: Solver, tolerance: float, back: float) -> Tensor:
        """Return the gradient of A."""
        state = self.forward(solve, tolerance, back)
        loss = (state * self.weights).sum()
        return torch.autograd.grad(loss, (self.A, self.B))[0]

    def tolerances(self, solve: Solver, patience: float) -> tuple[float, float] | None:
        """Return the largest tolerances that are enough, or nothing."""
        began = time.process_time()
        for k in range(16):
            if time.process_time() - began > patience:
                return None
            ahead = 1e-5 / 3**k
            with torch.no_grad():
                state = self.forward(solve, ahead, ahead)
            if relative(state, self.state, 1) <= 1e-5:
                break
        else:
            return None
        for k in range(24):
            if time.process_time() - began > 2 * patience:
                break
            back = 1e-5 / 3**k
            gradient = self.both(solve, ahead, back)
            if relative(gradient, self.gradient) <= self.accuracy:
                return ahead, back
        return ahead, float("nan")


def seconds(run: Callable[[], object]) -> float:
    """Return the processor time of a run, the mean of 20 where these are short.

    An untimed one goes before: nobody pays for what the last method left in caches.
    """
    start = time.process_time()
    run()
    count = 20 if time.process_time() - start < 0.05 else 1
    start = time.process_time()
    for _ in range(count):
        run()
    return (time.process_time() - start) / count


def compared(
    name: str, race: Race, solvers: dict[str, Solver], rounds: int, patience: float
) -> None:
    """Print a line a method: milliseconds and ratios to ours."""
    ready: dict[str, tuple[float, float]] = {}
    for label, solve in solvers.items():
        found = race.tolerances(solve, patience)
        if found is None:
            start = time.process_time()
            with torch.no_grad():
                state = race.forward(solve, 1e-5, 1e-5)
            took = (time.process_time() - start) * 1e3
            print(
                f"{name:5} {label:26} never reaches 1e-5; asked for 1e-5 it takes"
                f" {took:.0f} ms forward, off by {relative(state, race.state, 1):.1e}",
                flush=True,
            )
        else:
            ready[label] = found
    times: dict[str, list[tuple[float, float]]] = {label: [] for label in ready}
    for _ in range(rounds):
        for label, (ahead, back) in ready.items():
            solve = solvers[label]
            once = seconds(lambda s=solve, a=ahead, b=back: race.forward(s, a, b))
            whole = seconds(lambda s=solve, a=ahead, b=back: race.both(s, a, b))
            times[label].append((once, whole - once))
    middle = {label: np.median(np.array(t), 0) * 1e3 for label, t in times.items()}
    mine = middle["relulens"]
    for label, (once, back) in middle.items():
        weak = "" if ready[label][1] == ready[label][1] else " (gradient: never)"
        print(
            f"{name:5} {label:26} forward {once:8.2f} ms (ours {mine[0] / once:6.3f}x)"
            f"   backward {back:8.2f} ms (ours {mine[1] / back:6.3f}x){weak}",
            flush=True,
        )


def certified(name: str, race: Race) -> None:
    """Print what a certified error of 1e-5 takes."""
    parts = (race.A.detach(), race.B.detach())
    out = torch.zeros((1, STATES), dtype=race.A.dtype)
    model = rl.ImplicitModel(*parts, out)
    rl.equilibrium(model, race.u[:1], error=1e-5, relative=True)

    def run() -> rl.Equilibrium:
        return rl.equilibrium(model, race.u, error=1e-5, relative=True)

    off = relative(run().state, race.state, 1)
    took = sorted(seconds(run) for _ in range(5))[2] * 1e3
    print(f"{name:5} certified by equilibrium()   {took:8.2f} ms, true error {off:.1e}")


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    quick = "--quick" in sys.argv
    solvers: dict[str, Solver | None] = {
        "relulens": ours,
        "torchidl 0.0.4": torchidl_solver(),
        "torchdeq fixed_point_iter": torchdeq_solver("fixed_point_iter"),
        "torchdeq broyden": torchdeq_solver("broyden"),
    }
    present = {label: solve for label, solve in solvers.items() if solve is not None}
    for label in solvers.keys() - present.keys():
        print(f"{label} is not installed: left out (benchmarks/peers.txt)")
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    for name, (A, B, dtype) in cases().items():
        if wanted and name not in wanted:
            continue
        race = Race(A, B, dtype)
        compared(name, race, present, *((3, PATIENCE / 6) if quick else (9, PATIENCE)))
        certified(name, race)


if __name__ == "__main__":
    main()

"""Time omnidirectionality beside a linear program and nonnegative least squares.

Run: python benchmarks/omnidirectionality.py [--quick] ; one thread, one process. HiGHS
solves the Stiemke system A^T m = 0, m >= 1; scipy's NNLS min |A^T (m + 1)|, m >= 0.
Ours includes the certificate and its check; theirs give no certificate.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linprog, nnls
from threadpoolctl import threadpool_limits

from relulens.preimage.omnidirectionality import omnidirectionality

CASES = [
    (3000, 200, 0.0),
    (3000, 484, 0.0),
    (3200, 484, 0.0),
    (3000, 300, 1.5),
    (3000, 380, 1.5),
    (3000, 400, 1.5),
    (3000, 450, 1.5),
    (3000, 200, 2.0),
    (2800, 100, 2.0),
    (2777, 61, 2.4),
    (300, 20, 0.0),
    (40, 20, 0.0),
]
LIMIT = 60.0


def rows(p: int, q: int, shift: float, seed: int) -> np.ndarray:
    """Return Gaussian rows moved against one direction."""
    generator = np.random.default_rng(seed)
    direction = generator.standard_normal(q)
    direction /= np.linalg.norm(direction)
    return generator.standard_normal((p, q)) - shift * direction


def timed(run: Callable[[np.ndarray], str], matrix: np.ndarray) -> tuple[float, str]:
    """Return processor seconds and what was answered."""
    start = time.process_time()
    answer = run(matrix)
    return time.process_time() - start, answer


def by_ours(matrix: np.ndarray) -> str:
    """Decide with a certificate."""
    return omnidirectionality(matrix).verdict


def by_program(matrix: np.ndarray) -> str:
    """Decide by the Stiemke system."""
    p, q = matrix.shape
    found = linprog(
        np.zeros(p),
        A_eq=matrix.T,
        b_eq=np.zeros(q),
        bounds=(1, None),
        method="highs-ds",
        options={"time_limit": LIMIT},
    )
    return {0: "omnidirectional", 2: "not"}.get(found.status, f"status {found.status}")


def by_least_squares(matrix: np.ndarray) -> str:
    """Decide by the distance of the origin from the shifted cone."""
    unit = matrix / np.linalg.norm(matrix, axis=1)[:, None]
    right = -unit.sum(0)
    _, distance = nnls(np.ascontiguousarray(unit.T), right, maxiter=10**6)
    return "omnidirectional" if distance < 1e-8 else "not"


def main() -> None:
    """Print a row a case; ratios above 1 mean that ours is faster."""
    quick = "--quick" in sys.argv
    omnidirectionality(rows(100, 10, 0.0, 0))
    print("p x q, shift | verdict | ours ms | HiGHS ms (ratio) | NNLS ms (ratio)")
    for p, q, shift in CASES[6:] if quick else CASES:
        matrix = rows(p, q, shift, 1)
        ours, verdict = min(timed(by_ours, matrix) for _ in range(3))
        program, answer = timed(by_program, matrix)
        squares, second = min(timed(by_least_squares, matrix) for _ in range(2))
        notes = [a for a in (answer, second) if a != verdict]
        print(
            f"{p} x {q}, {shift} | {verdict} | {1e3 * ours:.1f} |"
            f" {1e3 * program:.0f} ({program / ours:.0f}) |"
            f" {1e3 * squares:.1f} ({squares / ours:.1f}) {' '.join(notes)}",
            flush=True,
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    with threadpool_limits(1):
        main()

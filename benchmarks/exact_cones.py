"""Small-integer cones and layers against exact rays: wrong and undecided verdicts.

Run: python benchmarks/exact_cones.py [--cases 10000] [--seed 0]. The oracle lists the
candidate extreme rays of {A x <= 0} in whole numbers and shares no code with the
package; every certificate is verified. Beside it stands Wendel's law for Gaussian rows.
"""

import argparse
import sys
import time
from collections import Counter
from math import comb
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "preimage"))

from cone_oracle import leaves_a_direction

import relulens as rl
from relulens.preimage.omnidirectionality import omnidirectionality

SIZES = ((30, 20), (40, 20), (50, 20), (24, 12))
DRAWS = 200


def cone_case(generator: np.random.Generator) -> tuple[str, str, bool]:
    """Return the true verdict on a cone, the one found, and whether its proof holds."""
    p, q = int(generator.integers(1, 9)), int(generator.integers(1, 5))
    A = generator.integers(-1, 2, (p, q))
    left = leaves_a_direction(np.zeros((0, q), dtype=np.int64), A)
    found = omnidirectionality(A)
    sound = found.certificate is not None and bool(found.certificate.verify())
    return "not" if left else "omnidirectional", found.verdict, sound


def layer_case(generator: np.random.Generator) -> tuple[str, str, bool]:
    """Return the same for the pre-image of a ReLU layer, with ties and saturation."""
    n, m = int(generator.integers(1, 4)), int(generator.integers(1, 8))
    weight = generator.integers(-2, 3, (m, n))
    x = generator.integers(-1, 3, n)
    bias = np.where(
        generator.random(m) < 0.3, -weight @ x, generator.integers(-2, 3, m)
    )
    z = weight @ x + bias
    below, slack = weight[z <= 0], -z[z <= 0]
    truth = "unbounded" if leaves_a_direction(weight[z > 0], below) else "bounded"
    if not leaves_a_direction(weight[z > 0], below[slack == 0]):
        truth = "singleton"
    network = rl.from_layers([(weight, bias), (np.ones((1, m)), None)])
    found = rl.preimage(network, x[None], layer=0)[0]
    sound = found.certificate is not None and bool(found.certificate.verify())
    return truth, found.verdict, sound


def exact(cases: int, seed: int) -> None:
    """Print how many verdicts are wrong or undecided."""
    generator = np.random.default_rng(seed)
    counts: Counter[str] = Counter({"wrong": 0, "undecided": 0})
    begun = time.process_time()
    for number in range(cases):
        case = cone_case if number % 2 else layer_case
        truth, found, sound = case(generator)
        counts[found if found == truth else "wrong"] += found != "undecided"
        counts["undecided"] += found == "undecided"
        counts["certificates that hold"] += sound
    print(f"{cases} cases, seed {seed}: {dict(counts)}")
    print(
        f"{time.process_time() - begun:.0f} s CPU, the oracle and all checks included"
    )


def wendel() -> None:
    """Print the share of Gaussian matrices that span, beside the law."""
    generator = np.random.default_rng(1)
    for p, q in SIZES:
        share = 1 - 2.0 ** -(p - 1) * sum(comb(p - 1, j) for j in range(q))
        drawn = [generator.standard_normal((p, q)) for _ in range(DRAWS)]
        seen = np.mean([omnidirectionality(A).verdict[0] == "o" for A in drawn])
        sigma = np.sqrt(share * (1 - share) / DRAWS)
        print(
            f"{p} x {q}: {seen:.3f} of {DRAWS} span, the law says {share:.3f}:"
            f" {(seen - share) / sigma:+.2f} sigma"
        )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    exact(given.cases, given.seed)
    wendel()


if __name__ == "__main__":
    with threadpool_limits(1):
        main()

"""Generative reversal: predictions against draws, support recovery, sweeps, likeness.

Run ``python benchmarks/reversal.py`` for everything, or name parts: ``moments``,
``support``, ``sweep``, ``likeness``. Prints a table of figures beside their targets and
writes them as JSON with ``--json PATH``. The threads are torch's own; ``--threads N``
sets them.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import torch

from relulens.importers.layers import from_layers
from relulens.reversal.generative import GenerativeModel
from relulens.reversal.likeness import random_likeness
from relulens.reversal.prediction import default_delta, predicted_error
from relulens.reversal.recognition import recognise

Row = dict[str, object]


def squared_error(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the relative squared error of every row."""
    return (found - wanted).square().sum(1) / wanted.square().sum(1)


def moments(draws: int = 20, each: int = 5) -> list[Row]:
    """Compare gain, deviation and errors at n = 4000, m = 1000 with the formulas."""
    n, m = 4000, 1000
    rows: list[Row] = []
    for active in (5, 10, 20):
        gains, deviations, linear, soft = [], [], [], []
        for seed in range(draws):
            model = GenerativeModel.gaussian((n, m), seed=1000 * active + seed)
            h = model.hidden(each, active, seed=seed)
            x = model.sample(h, seed=seed)
            # alpha W^T W h itself: the formula's gain is not normalised by the draw.
            raw = x @ model.weights[0]
            predicted = predicted_error(h, n)
            on = h > 0
            gains.append(float((raw[on] / h[on]).mean()))
            deviations.append(float(((raw - h) / predicted.deviation).square().mean()))
            linear.append(squared_error(raw, h))
            norm = h.norm(dim=1)
            soft.append(squared_error(recognise(model, x, norm=norm).hidden, h))
        formula = predicted_error(h, n)
        found = torch.cat(linear)
        rows.append({
            "what": f"k = {active}: gain (mean of W^T x / h on the support)",
            "measured": sum(gains) / draws,
            "predicted": 1.0,
            "target": "within 3 %",
        })
        rows.append({
            "what": f"k = {active}: deviation over predicted",
            "measured": (sum(deviations) / draws) ** 0.5,
            "predicted": 1.0,
            "target": "within 3 %",
        })
        rows.append({
            "what": f"k = {active}: linear error, {len(found)} draws, {draws} W",
            "measured": float(found.mean()),
            "predicted": float(formula.linear[0]),
            "standard error": float(found.std() / len(found) ** 0.5),
            "target": ".501 +- .01",
        })
        rows.append({
            "what": f"k = {active}: error after the offset",
            "measured": float(torch.cat(soft).mean()),
            "predicted": float(formula.soft[0]),
            "target": "within 20 %",
        })
    return rows


def support(draws: int = 100) -> list[Row]:
    """Count draws in which the theorem's offset finds the support exactly."""
    n, m, active = 4000, 1000, 10
    # sqrt(2/t) sqrt(4 ln m): noise exceeds it once in m^2 entries, so once in m draws.
    delta = default_delta(n, m) * 2**0.5
    exact, zeros = 0, 0
    for seed in range(draws):
        if seed % 5 == 0:
            model = GenerativeModel.gaussian((n, m), seed=seed)
        h = model.hidden(1, active, seed=seed)
        x = model.sample(h, seed=seed)
        found = recognise(model, x, norm=h.norm(dim=1), delta=delta).hidden
        exact += bool(((found > 0) == (h > 0)).all())
        zeros += bool((found[h == 0] == 0).all())
    bound = 2 * delta * active**0.5
    return [
        {
            "what": f"k = {active}: support found exactly, of {draws} draws",
            "measured": exact,
            "predicted": draws,
            "target": "verified over 100 draws",
        },
        {
            "what": f"k = {active}: zeros stay zero, of {draws} draws",
            "measured": zeros,
            "predicted": draws,
            "target": f"entries on the support within 2 delta |h| = {bound:.2f}",
        },
    ]


def sweep() -> list[Row]:
    """Time 20 settings at n = 16,000, m = 4,000, batch 256, one W for all of them."""
    begun = time.perf_counter()
    n, m, batch = 16_000, 4_000, 256
    base = GenerativeModel.gaussian((n, m), seed=0, dtype=torch.float32)
    worst = 0.0
    for setting in range(20):
        keep = (1.0, 0.75, 0.5, 0.25)[setting % 4]
        active = (5, 10, 20, 40, 80)[setting // 4]
        model = GenerativeModel(
            weights=base.weights, keep=(keep,), scales=(2.0 / (keep * n),)
        )
        h = model.hidden(batch, active, seed=setting)
        x = model.sample(h, seed=setting)
        found = squared_error(recognise(model, x, threshold="linear").linear, h).mean()
        predicted = predicted_error(h, n, keep=keep).linear.mean()
        worst = max(worst, abs(float(found / predicted) - 1))
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [
        {
            "what": "n = 16,000, m = 4,000, batch 256: 20 settings, seconds",
            "measured": seconds,
            "target": "<= 60 on 2 cores",
        },
        {"what": "peak memory of the process, GiB", "measured": peak, "target": "<= 4"},
        {
            "what": "largest deviation of the linear error from its prediction",
            "measured": worst,
            "target": "stated",
        },
    ]


def likeness() -> list[Row]:
    """Time random-likeness of a 784-3500-784 network."""
    source = torch.Generator().manual_seed(0)
    layers = [
        (torch.randn(3500, 784, generator=source) / 28, torch.zeros(3500)),
        (torch.randn(784, 3500, generator=source) / 59, None),
    ]
    network = from_layers(layers)
    begun = time.perf_counter()
    result = random_likeness(network)
    seconds = time.perf_counter() - begun
    verdicts = ", ".join(layer.verdict for layer in result.layers)
    return [
        {
            "what": f"random-likeness of 784-3500-784 ({verdicts}), seconds",
            "measured": seconds,
            "target": "<= 5",
        }
    ]


PARTS = {"moments": moments, "support": support, "sweep": sweep, "likeness": likeness}


def main() -> None:
    """Run the parts asked for and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = [row for part in given.parts or PARTS for row in PARTS[part]()]
    for row in rows:
        predicted = f"  predicted {row['predicted']:.4g}" if "predicted" in row else ""
        print(f"{row['what']:<66} {row['measured']:.4g}{predicted}  [{row['target']}]")
    if given.json:
        given.json.write_text(json.dumps({"threads": given.threads, "rows": rows}))


if __name__ == "__main__":
    main()

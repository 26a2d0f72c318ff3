"""Likely mistakes in how the data were passed."""

import pandas as pd

from relulens.data.data_set import DataSet
from relulens.graph.network import Network

NEAR_CHANCE = 0.2
"""Up to this part of the way from a blind guess to no error counts as near chance."""


def remarks(network: Network, data: DataSet, samples: pd.DataFrame) -> tuple[str, ...]:
    """Return what looks like a mistake, in sentences.

    Args:
        network: The network.
        data: The data set.
        samples: The table with a row per input.
    """
    if network.domain is not None or data.scale != 1.0 or len(data) == 0:
        return ()
    pixels = data.dtype.kind in "ui" and data.low >= 0 and 16 < data.high <= 255
    if not pixels:
        return ()
    whole = f"the data are whole numbers from {data.low:g} to {data.high:g}, unscaled"
    fix = "pass --scale 255 (scale=255 of read_data)"
    if _near_chance(network, samples):
        return (f"likely a mistake: {whole}, and the accuracy is near chance; {fix}",)
    return (f"{whole}; if the network was trained on 0 to 1, {fix}",)


def _near_chance(network: Network, samples: pd.DataFrame) -> bool:
    if "correct" not in samples or not samples["correct"].notna().any():
        return False
    accuracy = float(samples["correct"].astype("Float64").mean())
    guess = 1 / network.output_size
    return accuracy <= guess + NEAR_CHANCE * (1 - guess)

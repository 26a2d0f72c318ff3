"""The data set that needs no file: scikit-learn's digits."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from relulens.data.data_set import DataSet
from relulens.data.fitting import Choice, fitted
from relulens.data.source import Source
from relulens.graph.network import Network


def embedded_data(
    network: Network | None = None, *, samples: int | None = None, seed: int = 0
) -> DataSet:
    """Return the digits that the embedded network was not trained on.

    Args:
        network: The network that the inputs are for.
        samples: How many to use, chosen at random; all 450 by default.
        seed: Seed of that choice.

    Returns:
        Images [N, 1, 8, 8] with pixels 0 to 16.
    """
    pixels, labels = load_digits(return_X_y=True)
    rows = np.arange(len(labels))
    _, test = train_test_split(rows, test_size=0.25, random_state=0, stratify=labels)
    source = Source(
        rows=pixels[test].reshape(-1, 1, 8, 8),
        labels=labels[test],
        names=np.array([f"digit {row}" for row in test]),
        title="scikit-learn's digits, the quarter not trained on",
        format="embedded",
        recipe="embedded_data(",
    )
    return fitted(source, network, Choice(samples=samples, seed=seed))

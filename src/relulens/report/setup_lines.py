"""Lines of Python that the page's checks build on."""

from pathlib import Path

from relulens.report.context import ReportContext
from relulens.report.folder import SAMPLES


def setup_lines(
    context: ReportContext, folder: Path, embedded: bool, recipe: str | None
) -> str:
    """Return lines that define ``rl``, ``network``, ``x`` and ``samples``.

    Args:
        context: The tables.
        folder: The report's folder.
        embedded: Whether the network is the example that the package ships.
        recipe: Python that gives the network again, if the caller knows it.
    """
    reader = context.data.recipe.split("(", 1)[0]
    home = "digits" if reader == "embedded_data" else "read"
    lines = [
        "import pandas as pd",
        "import relulens as rl",
        f"from relulens.data.{home} import {reader}",
    ]
    if embedded:
        lines.append("from relulens.report.subject import embedded_network")
    return "\n".join([
        *lines,
        f"network = {_network(context, embedded, recipe)}",
        f"data = {context.data.recipe}",
        "x = data.take(range(len(data)))",
        f"samples = pd.read_parquet({str(folder / SAMPLES)!r})",
    ])


def _network(context: ReportContext, embedded: bool, recipe: str | None) -> str:
    if recipe is not None:
        return recipe
    if embedded:
        return "embedded_network()"
    path = context.network.provenance.path
    if path is None:
        return "...  # the network of this report"
    return f"rl.load({path!r})  # with the options that it was loaded with"

"""Where a report comes from: hashes, versions and options."""

import platform
from collections.abc import Mapping

from relulens.data.data_set import DataSet
from relulens.graph.network import Network
from relulens.report.context import ReportOptions
from relulens.survey.manifest import versions
from relulens.survey.survey import Survey


def provenance(
    network: Network, data: DataSet, found: Survey, options: ReportOptions
) -> dict[str, object]:
    """Return what an auditor needs to make the same report again.

    Args:
        network: The network.
        data: The data set.
        found: The survey that the report stands on.
        options: How the report was asked for.
    """
    return {
        "network": _network(network, found),
        "data": _data(data),
        "options": {
            "sections": list(options.sections),
            "samples": options.samples,
            "seed": options.seed,
            "budget": options.budget,
            "sensitive": options.sensitive,
        },
        "versions": {**versions(), "python": platform.python_version()},
        "command": options.command,
    }


def _network(network: Network, found: Survey) -> dict[str, object]:
    origin = network.provenance
    agreement = origin.agreement
    return {
        "format": origin.format,
        "path": origin.path,
        "file_sha256": origin.sha256,
        "sha256": found.plan.network_sha256,
        "dtype": str(network.dtype).removeprefix("torch."),
        "device": str(network.device),
        "domain": None if network.domain is None else repr(network.domain),
        "agreement": None
        if agreement is None
        else {
            "source": agreement.source,
            "difference": agreement.difference,
            "samples": agreement.samples,
        },
        "unsafe": origin.unsafe,
        "notes": list(origin.notes),
    }


def _data(data: DataSet) -> dict[str, object]:
    return {
        "source": data.source,
        "format": data.format,
        "sha256": data.sha256,
        "inputs": len(data),
        "of": data.total,
        "dtype": str(data.dtype),
        "scale": data.scale,
        "low": data.low if len(data) else None,
        "high": data.high if len(data) else None,
        "seed": data.seed,
        "recipe": data.recipe,
        "notes": list(data.notes),
    }


def facts(found: Mapping[str, object]) -> dict[str, str]:
    """Return a provenance as short lines for the page."""
    lines: dict[str, str] = {}
    for group, content in found.items():
        if not isinstance(content, Mapping):
            continue
        for key, value in content.items():
            if value not in (None, [], ""):
                lines[f"{group} {key}".replace("_", " ")] = _line(value)
    return lines


def _line(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_line(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(_line, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)

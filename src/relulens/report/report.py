"""The main job: a folder with one page and three tables about a network."""

import html
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from relulens.errors import InvalidArgumentError
from relulens.graph.network import Network
from relulens.report.building import built
from relulens.report.context import Progress, ReportContext, ReportOptions
from relulens.report.folder import PAGE, SURVEY, Files, prepare, write_files
from relulens.report.layers_table import layers_table, singular_value_arrays
from relulens.report.page.render import Provenance, render
from relulens.report.preimages import preimages_table
from relulens.report.provenance import facts, provenance
from relulens.report.remarks import remarks
from relulens.report.samples import samples_table
from relulens.report.section import Section, SectionContent
from relulens.report.sections import SECTIONS
from relulens.report.setup_lines import setup_lines
from relulens.report.subject import Subject, subject
from relulens.report.summary import summary
from relulens.survey.catalogue import CATALOGUE
from relulens.survey.survey import Survey, survey
from relulens.survey.threads import thread_count

BUDGET = 480.0
"""Seconds that a report may take unless told otherwise."""

PAGE_BYTES = 5_000_000
"""Most bytes of the page."""

OUT = "relulens-report"
"""Folder of a report that is not told where to go."""

_SHARES = {"spectra": 0.3, "boundary": 0.5, "preimage": 0.12, "preimage_depth": 0.06}
"""Parts of the budget that single questions may take, so that the others get theirs."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Report:
    """A report on disk.

    Attributes:
        path: Its folder, with ``index.html`` in it.
        samples: A row per input.
        layers: A row per layer.
        summary: What ``summary.json`` says.
    """

    path: Path
    samples: pd.DataFrame
    layers: pd.DataFrame
    summary: Mapping[str, object]

    def __repr__(self) -> str:
        """Return where it is and how large, on one line."""
        return f"Report({str(self.path)!r}, {len(self.samples)} inputs)"

    def _repr_html_(self) -> str:
        page = html.escape((self.path / PAGE).read_text(encoding="utf-8"), quote=True)
        style = "width:100%;height:44rem;border:1px solid #8884"
        return (
            f'<iframe sandbox="allow-scripts" srcdoc="{page}" style="{style}"></iframe>'
        )


def report(
    network_or_module: Network | torch.nn.Module | None = None,
    x: object = None,
    /,
    labels: object = None,
    *,
    out: str | Path | None = None,
    sections: Sequence[str] | None = None,
    budget: float | None = BUDGET,
    samples: int | None = None,
    seed: int = 0,
    sensitive: bool = False,
    overwrite: bool = False,
    command: str | None = None,
    recipe: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Write a report: one page in words and pictures, and the tables behind it.

    The same call continues a report that was stopped, or whose budget was too short.

    Args:
        network_or_module: A network, or a module, which is imported with the first two
            inputs as example; nothing for the example that the package ships.
        x: Inputs [N, *input_shape], or a data set as ``read_data`` gives it.
        labels: Class numbers [N], if ``x`` is an array.
        out: The report's folder; ``relulens-report`` by default.
        sections: Names of the sections; all by default.
        budget: Seconds after which no further answer is begun; no limit with ``None``.
        samples: How many inputs of ``x`` to use, chosen at random; all by default.
        seed: Seed of everything random.
        sensitive: Whether raw inputs must not appear on the page.
        overwrite: Whether a report in that folder is begun again.
        command: The command line that makes the same report again, for the page.
        recipe: Python that gives the same network again, for the page.
        progress: Called with answers found and answers in all.

    Returns:
        The report.

    Raises:
        OutputFolderError: The folder is no report, or one about something else.
        InvalidArgumentError: A section that there is not, or arguments that do not go
            together.
        ShapeError: The inputs do not fit the network.
        DataError: Labels are out of range, or the inputs leave the domain.
        NotFiniteError: An input is NaN or infinite.

    Cost:
        Linear in the inputs; exact boundary distances take most of it.
    """
    begun = time.monotonic()
    chosen = _sections(sections)
    limit = _limit(budget)
    about = subject(network_or_module, x, labels, samples=samples, seed=seed)
    folder = Path(OUT if out is None else out)
    prepare(folder, overwrite=overwrite)
    options = ReportOptions(
        sections=tuple(section.name for section in chosen),
        samples=samples,
        seed=seed,
        budget=limit,
        sensitive=sensitive,
        bytes_=PAGE_BYTES,
        command=command or "",
    )
    if command is None:
        options = replace(options, command=_call(about, options, out))
    found = _ask(about, chosen, options, folder, progress)
    context = _context(about, found, options, begun)
    with thread_count(1):
        contents = [(section, built(section, context)) for section in chosen]
    setup = setup_lines(context, folder, about.embedded, recipe)
    return _written(folder, context, contents, found, setup, begun)


def _sections(wanted: Sequence[str] | None) -> list[Section]:
    if wanted is None:
        return list(SECTIONS.values())
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        raise InvalidArgumentError(
            f"cannot write sections {', '.join(map(repr, unknown))}: there are"
            f" {len(SECTIONS)} ({', '.join(SECTIONS)}). Choose among these."
        )
    return [section for name, section in SECTIONS.items() if name in wanted]


def _limit(budget: float | None) -> float | None:
    if budget is None or math.isinf(budget):
        return None
    if not budget >= 0:
        raise InvalidArgumentError(
            f"cannot work for {budget:g} s: 0 is the least. Pass budget=None for no"
            " limit."
        )
    return budget


def _call(about: Subject, options: ReportOptions, out: str | Path | None) -> str:
    """Return the Python call that makes the same report again."""
    changed = {
        "out": None if out is None else str(out),
        "sections": None
        if options.sections == tuple(SECTIONS)
        else list(options.sections),
        "samples": options.samples,
        "seed": options.seed or None,
        "sensitive": options.sensitive or None,
    }
    named = (f"{key}={value!r}" for key, value in changed.items() if value is not None)
    return f"rl.report({', '.join([*_given(about), *named])})"


def _given(about: Subject) -> list[str]:
    if about.embedded:
        return []
    if about.data.format != "array":
        return ["network", "data"]
    return ["network", "x", *([] if about.data.labels is None else ["labels"])]


def _ask(
    about: Subject,
    chosen: Sequence[Section],
    options: ReportOptions,
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> Survey:
    needed = {name for section in chosen for name in section.questions}
    building = sum(section.seconds for section in chosen)
    budget = options.budget
    left = None if budget is None else max(0.0, budget - min(building, budget / 4))
    shares = {} if left is None else {name: left * s for name, s in _SHARES.items()}
    return survey(
        about.network,
        about.data,
        out=folder / SURVEY,
        questions=[name for name in CATALOGUE if name in needed],
        budget=left,
        budgets=shares,
        seed=options.seed,
        progress=progress,
    )


def _context(
    about: Subject, found: Survey, options: ReportOptions, begun: float
) -> ReportContext:
    samples = samples_table(about.data, found)
    notes = (*about.data.notes, *remarks(about.network, about.data, samples))
    spectra = found.answers.get("spectra")
    table = pd.DataFrame() if spectra is None else spectra.table
    return ReportContext(
        network=about.network,
        data=replace(about.data, notes=notes),
        samples=samples,
        layers=layers_table(about.network, found),
        spectra=table.rename(columns={"status": "spectra_status"}),
        preimages=preimages_table(found),
        values=singular_value_arrays(spectra),
        class_names=about.class_names,
        questions={
            name: Progress(
                done=answers.done, total=len(answers.table), reason=answers.reason
            )
            for name, answers in found.answers.items()
        },
        options=options,
        deadline=None if options.budget is None else begun + options.budget,
    )


def _written(
    folder: Path,
    context: ReportContext,
    contents: Sequence[tuple[Section, SectionContent]],
    found: Survey,
    setup: str,
    begun: float,
) -> Report:
    origin = provenance(context.network, context.data, found, context.options)
    page = render(
        contents,
        Provenance(
            facts=facts(origin),
            command=context.options.command,
            setup=setup,
        ),
        _head(context),
        title=f"What {_name(context)} does on {context.data.source}",
        limit=context.options.bytes_,
    )
    said = summary(context, contents, origin, seconds=time.monotonic() - begun)
    files = Files(
        page=page, samples=context.samples, layers=context.layers, summary=said
    )
    write_files(folder, files)
    return Report(
        path=folder, samples=context.samples, layers=context.layers, summary=said
    )


def _name(context: ReportContext) -> str:
    path = context.network.provenance.path
    return "the network" if path is None else Path(path).name


def _head(context: ReportContext) -> dict[str, str]:
    origin = context.network.provenance
    path = origin.path
    return {
        "network": f"a network from {origin.format}"
        if path is None
        else Path(path).name,
        "data": context.data.source,
        "inputs": f"{len(context.data):,} of {context.data.total:,}",
    }

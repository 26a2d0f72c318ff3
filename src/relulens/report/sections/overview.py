"""The network: its operations as a diagram, and what can be said of it exactly."""

import torch
from markupsafe import Markup

from relulens.errors import NotPolyhedralError
from relulens.graph.describe import describe
from relulens.graph.network import Network
from relulens.graph.polyhedral import polyhedral
from relulens.plot.diagram import folded
from relulens.plot.diagram.labels import shape_label
from relulens.report.context import ReportContext
from relulens.report.section import Cell, Figure, Section, SectionContent, Table
from relulens.report.sections.diagram import diagram_svg, legend_markup
from relulens.report.sections.phrases import counted, listed, number

MOST_LAYERS = 40


def build(context: ReportContext) -> SectionContent:
    """Say what the network is made of and what is exact for it."""
    network = context.network
    sentences = [_size(network), _exactness(network), *_import(network)]
    return SectionContent(
        sentences=tuple(sentences),
        figures=(_diagram(network),),
        table=_layers(network),
        check=(
            "rl.describe(network)  # a row per node\n"
            f"network.state_size == {network.state_size}\n"
            "rl.evaluate(network, x[:1])  # compare with the model's own output"
        ),
    )


def _size(network: Network) -> str:
    held = int(describe(network)["coefficients"].sum())
    ins, outs = shape_label(network.input_shape), shape_label(network.output_shape)
    return (
        f"The network reads arrays of {ins} and gives {outs}, through"
        f" {counted(len(network.layers), 'nonlinear layer')} with"
        f" {counted(network.state_size, 'unit')} and {held:,} coefficients in all."
    )


def _exactness(network: Network) -> str:
    bits = "float64" if network.dtype == torch.float64 else str(network.dtype)[6:]
    try:
        polyhedral(network, network.output)
    except NotPolyhedralError as refusal:
        named = listed([f"{n.operation} at {n.name}" for n in refusal.nodes[:4]])
        more = len(refusal.nodes) - 4
        rest = f" and {more:,} more" if more > 0 else ""
        return (
            "Not every operation is piecewise affine"
            f" ({named}{rest}): slopes and spectra below describe the network at each"
            " input and not on a region around it, and questions about regions and"
            " their distances are refused."
        )
    return (
        "Every operation is piecewise affine. Around each input the network is one"
        " affine map on a polytope, so slopes, templates, distances and radii below are"
        f" the network's own, up to {bits} rounding, and not approximations of it."
    )


def _import(network: Network) -> list[str]:
    provenance = network.provenance
    said = []
    if provenance.agreement is None:
        said.append("The import was not compared with its source.")
    else:
        agreement = provenance.agreement
        said.append(
            f"On {counted(agreement.samples, 'sample input')} the imported network"
            f" agrees with {agreement.source} to {number(agreement.difference)} of the"
            " largest output."
        )
    said.extend(provenance.notes)
    if provenance.unsafe:
        said.append("The model file could run code, and was opened all the same.")
    return said


def _diagram(network: Network) -> Figure:
    diagram = folded(network)
    alt = (
        f"Diagram of the network: {counted(len(diagram.rows), 'row')} from input to"
        f" output, {counted(len(diagram.repeats), 'repeated stretch', 'repeats')},"
        f" {counted(len(diagram.links), 'link')} past rows"
    )
    caption = (
        "Top to bottom. On the left of a row the index of its layer, on the right the"
        " shape of its value."
    )
    if diagram.repeats:
        caption += " A bracket stands for several equal stretches, drawn once."
    if diagram.links:
        caption += " Lines on the right pass by the rows between: residual links."
    content = Markup(diagram_svg(diagram, alt)) + legend_markup(diagram)
    return Figure(format="html", content=content.encode(), caption=caption, alt=alt)


def _layers(network: Network) -> Table | None:
    if not network.layers:
        return None
    shown = network.layers[:MOST_LAYERS]
    exact = describe(network)["exact"].tolist()
    rows = [
        (i, layer.name, shape_label(network.nodes[layer.output].shape))
        for i, layer in enumerate(shown)
    ]
    columns = ("layer", "name", "features")
    cells: list[tuple[Cell, ...]] = [*rows]
    if len(set(exact)) > 1:
        answers = [exact[layer.output] for layer in shown]
        cells = [(*row, answer) for row, answer in zip(rows, answers, strict=True)]
        columns = (*columns, "what is exact")
    left = len(network.layers) - len(shown)
    rest = f"; {left} more in layers.parquet" if left else ""
    return Table(
        columns=columns,
        rows=tuple(cells),
        caption=f"Nonlinear layers{rest}",
    )


OVERVIEW = Section(
    name="overview",
    title="The network",
    questions=(),
    seconds=2.0,
    bytes_=200_000,
    build=build,
)

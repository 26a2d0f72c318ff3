"""``relulens verify``: check certificates against the weights, without the solver."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relulens.cli.exits import FAILED_SAMPLES, OK
from relulens.cli.options import chosen_model, model_options
from relulens.cli.preimage import ABOUT
from relulens.errors import CertificateError

if TYPE_CHECKING:
    from relulens.graph.network import Network


@click.command()
@click.argument("path", metavar="DIR_OR_FILE")
@click.option(
    "--model",
    metavar="MODEL",
    help="The model they are about; by default the one that the folder names.",
)
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
@model_options
@click.pass_context
def verify(context: click.Context, path: str, model: str | None, as_json: bool) -> int:
    """Check certificates that `preimage --certificates` wrote.

    Only the model's weights, the certificate and the checkers are used, no code that
    found the proof. A file that is damaged, altered or about other weights is refused.
    """
    files = _files(Path(path))
    network = chosen_model(context).load(model or _named(files[0].parent))
    told = [_checked(file, network) for file in files]
    refused = [line for line in told if not line["valid"]]
    if as_json:
        click.echo(json.dumps({"certificates": told, "refused": len(refused)}))
    else:
        for line in refused:
            click.echo(f"refused {line['file']}: {line['reason']}")
        click.echo(f"{len(told) - len(refused)} of {len(told)} certificates hold")
    return FAILED_SAMPLES if refused else OK


def _files(path: Path) -> list[Path]:
    """Return the certificates of a folder, or the one file.

    Raises:
        UsageError: There are none.
    """
    if path.is_file():
        return [path]
    found = sorted(path.glob("*.npz")) if path.is_dir() else []
    if not found:
        what = "it holds 0 certificates" if path.is_dir() else "it is not there"
        raise click.UsageError(
            f"cannot verify {path}: {what}. Write some with `relulens preimage"
            " --certificates DIR`."
        )
    return found


def _named(folder: Path) -> str:
    """Return the model that a folder of certificates names.

    Raises:
        UsageError: It names none.
    """
    try:
        named = json.loads((folder / ABOUT).read_text(encoding="utf-8"))["model"]
    except (OSError, ValueError, KeyError, TypeError):
        raise click.UsageError(
            f"cannot verify {folder}: its {ABOUT}, which names the model, is missing or"
            " damaged. Pass --model MODEL."
        ) from None
    return str(named)


def _checked(path: Path, network: "Network") -> dict[str, object]:
    from relulens.certificates.file import read_certificate
    from relulens.certificates.verdict import PreimageCertificate

    try:
        certificate = read_certificate(path, network)
    except CertificateError as error:
        return {"file": str(path), "valid": False, "verdict": "", "reason": str(error)}
    found = certificate.verify()
    verdict = (
        certificate.verdict if isinstance(certificate, PreimageCertificate) else ""
    )
    return {
        "file": str(path),
        "valid": found.valid,
        "verdict": verdict,
        "reason": found.reason,
    }

"""The ``relulens`` command: its commands, and what each failure exits with."""

import shlex
import sys
from collections.abc import Sequence

import click

from relulens.cli.attack import attack
from relulens.cli.bounds import bounds
from relulens.cli.compare import compare
from relulens.cli.describe import describe
from relulens.cli.exits import INTERRUPTED, exit_code
from relulens.cli.implicit import implicit
from relulens.cli.preimage import preimage
from relulens.cli.region import region
from relulens.cli.report import report
from relulens.cli.reversal import reversal
from relulens.cli.slice import slice_
from relulens.cli.slopes import slopes
from relulens.cli.spectrum import spectrum
from relulens.cli.status import status
from relulens.cli.survey import survey
from relulens.cli.verify import verify
from relulens.cli.words import in_flags
from relulens.errors import RelulensError

EPILOG = """\b
Exit codes: 0 ok, 1 finished with failed samples, 2 usage, 3 unsupported model,
4 gate failed (--fail-on), 130 interrupted.
Without MODEL, `relulens report` uses the network and data that ship with it.
`relulens invert` is preimage, `relulens reverse` is reversal."""

ALIASES = {"invert": "preimage", "reverse": "reversal"}
"""Other names of commands."""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="relulens")
def cli() -> None:
    """Exact answers about trained piecewise-affine networks, from PyTorch or ONNX."""


for _command in (
    report,
    survey,
    status,
    compare,
    describe,
    slopes,
    slice_,
    spectrum,
    region,
    preimage,
    implicit,
    reversal,
    attack,
    bounds,
    verify,
):
    cli.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: What stands after ``relulens``; the process's own by default.

    Returns:
        The exit code; refusals are one line on stderr.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    given[:1] = [ALIASES.get(word, word) for word in given[:1]]
    try:
        code = cli.main(
            args=given,
            prog_name="relulens",
            obj=shlex.join(["relulens", *given]),
            standalone_mode=False,
        )
    except click.exceptions.Abort:
        click.echo("interrupted: what was finished is kept", err=True)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(f"See {error.ctx.command_path} --help.", err=True)
        return error.exit_code
    except RelulensError as error:
        click.echo(f"error: {in_flags(str(error))}", err=True)
        return exit_code(error)
    except OSError as error:
        name, fact = error.filename or "a file", error.strerror or error
        click.echo(f"error: cannot use {name}: {fact}. Check the path.", err=True)
        return exit_code(error)
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run())

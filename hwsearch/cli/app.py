"""The application that commands register with, and its top-level options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

import hwsearch
from hwsearch.cli.examples import epilog
from hwsearch.cli.render import print_lines

#: groups of commands in the help
RUN, STEPS, RESULTS, CATALOGUE, CLUSTER = "Run", "Step by step", "Results", "Look around and train", "Other hosts"
#: in the order of the help
PANELS = (RUN, STEPS, RESULTS, CATALOGUE, CLUSTER)

Command = TypeVar("Command", bound=Callable[..., None])

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find, for each target device, the Pareto-optimal subnets of a pretrained supernet, from measurements.",
)


def command(panel: str) -> Callable[[Command], Command]:
    """Register a function as a command; its docstring up to the parameters is the command's help.

    Parameters
    ----------
    panel : str
        The group that the help shows it in.

    Returns
    -------
    callable
        A decorator that returns the function unchanged.
    """

    def register(function: Command) -> Command:
        text = (inspect.getdoc(function) or "").partition("\n\nParameters\n")[0]
        app.command(help=text, rich_help_panel=panel, epilog=epilog(function.__name__))(function)
        return function

    return register


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print_lines(f"hwsearch {hwsearch.__version__}")
        raise typer.Exit()

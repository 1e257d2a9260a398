"""The application that commands register with, and its top-level options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

import hwsearch
from hwsearch._files import overwriting
from hwsearch.cli.examples import epilog
from hwsearch.cli.render import out

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


def command(panel: str, *, writes: bool = False) -> Callable[[Command], Command]:
    """Register a function as a command; its docstring up to the parameters is the command's help.

    Parameters
    ----------
    panel : str
        The group that the help shows it in.
    writes : bool
        Whether it writes files, and so has the option ``--force``.

    Returns
    -------
    callable
        A decorator that returns the function unchanged.
    """

    def register(function: Command) -> Command:
        text = (inspect.getdoc(function) or "").partition("\n\nParameters\n")[0]
        app.command(help=text, rich_help_panel=panel, epilog=epilog(function.__name__))(
            _with_force(function) if writes else function
        )
        return function

    return register


def _with_force(function: Callable[..., None]) -> Callable[..., None]:
    """Add the option ``--force`` to a command that writes files."""
    own = inspect.signature(function, eval_str=True)
    words = "Replace files that hwsearch did not write; links are never written through."
    kind = Annotated[bool, typer.Option("--force", help=words)]
    option = inspect.Parameter("force", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)

    @functools.wraps(function)
    def forced(**given: Any) -> None:
        with overwriting(given.pop("force")):
            function(**given)

    forced.__signature__ = own.replace(parameters=[*own.parameters.values(), option])  # type: ignore[attr-defined]
    forced.__annotations__ = {p.name: p.annotation for p in (*own.parameters.values(), option)}
    return forced


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out.print(f"hwsearch {hwsearch.__version__}", highlight=False)
        raise typer.Exit()

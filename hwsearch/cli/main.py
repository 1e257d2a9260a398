"""Run the command: typed errors become one sentence."""

from __future__ import annotations

import sys
import warnings
from typing import NoReturn

import typer

from hwsearch.cli import adding_tasks, assessment, catalogue, cluster, growing, planning, pruning, results, runs, steps
from hwsearch.cli.app import PANELS, app
from hwsearch.cli.interruption import listen, was_interrupted
from hwsearch.cli.render import err, print_error
from hwsearch.cli.streams import leave_output, take_streams
from hwsearch.errors import HwsearchError

#: the modules that register the commands
GROUPS = (runs, steps, results, catalogue, assessment, planning, growing, pruning, adding_tasks, cluster)
app.registered_commands.sort(key=lambda c: PANELS.index(str(c.rich_help_panel)))


def _say_interrupted() -> NoReturn:
    err.print("interrupted; everything measured so far is kept: the same command goes on from here.", highlight=False)
    raise SystemExit(130) from None


def main() -> None:
    """Run the command that the process was started with.

    Raises
    ------
    SystemExit
        1 after a typed error, which becomes one sentence; 2 after a wrong command line; 130 after Ctrl-C.
    """
    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\..*")
    take_streams()
    as_json = "--json" in sys.argv
    listen()
    try:
        code = app(standalone_mode=False)
        if code == 130:  # typer's answer to Ctrl-C
            raise KeyboardInterrupt
        if isinstance(code, int) and code:
            raise SystemExit(code)
    except HwsearchError as error:
        if was_interrupted():
            _say_interrupted()
        print_error(error.to_dict(), str(error), as_json)
        raise SystemExit(1) from None
    except typer.Exit as done:
        raise SystemExit(done.exit_code) from None
    except (KeyboardInterrupt, typer.Abort):
        _say_interrupted()
    except typer.BadParameter as error:
        error.show()
        raise SystemExit(2) from None
    except Exception as error:
        if was_interrupted():  # some library made another error of it
            _say_interrupted()
        if type(error).__module__.startswith(("click", "typer")) and hasattr(error, "show"):
            error.show()
            raise SystemExit(getattr(error, "exit_code", 2)) from None
        if isinstance(error, BrokenPipeError):  # whoever read the output has enough
            leave_output()
            raise SystemExit(141) from None
        if isinstance(error, OSError):
            place = f" {error.filename!r}" if error.filename else ""
            print_error({"error": "OSError", "message": str(error)}, f"{error.strerror or error}{place}.", as_json)
            raise SystemExit(1) from None
        raise

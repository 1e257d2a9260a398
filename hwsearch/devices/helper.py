"""A Python program that works beside this process and ends with it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from hwsearch._json import JsonObject
from hwsearch.devices.processes import kill_family, python_command


class Helper:
    """A process that works beside this one; it ends when this one does, since it then cannot read any more.

    Parameters
    ----------
    name : str
        What it is called in messages.
    module : str
        Its program, as for ``python -m``.
    task : dict
        One line of JSON on its standard input.
    said : Path
        Gets its standard error, the last line of which is why it failed.
    environment : mapping of str to str
        Its environment variables.
    """

    def __init__(
        self,
        name: str,
        module: str,
        task: JsonObject,
        said: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.name = name
        self.said = said
        with said.open("wb") as file:
            self.process = subprocess.Popen(
                python_command(module),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,  # Ctrl-C comes by the starter, after a whole step
                env=dict(environment),
            )
        stdin = self.process.stdin
        assert stdin is not None
        self._stdin: IO[bytes] = stdin
        with suppress(OSError):  # it ended already
            stdin.write(json.dumps(task).encode() + b"\n")
            stdin.flush()

    def fate(self) -> str | None:
        """Tell why it ended.

        Returns
        -------
        str or None
            None while it runs, or if it ended well.
        """
        code = self.process.poll()
        if not code:
            return None
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        lines = self.said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{self.name} {how}{': ' + lines[-1][:1000] if lines else ''}"

    def interrupt(self) -> None:
        """Send it Ctrl-C, if it runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def end(self, grace_s: float) -> None:
        """Wait for its end, then kill it with all that it started.

        Parameters
        ----------
        grace_s : float
            Seconds to wait.
        """
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=grace_s)
        kill_family(self.process)
        with suppress(OSError):
            self._stdin.close()

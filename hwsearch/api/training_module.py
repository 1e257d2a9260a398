"""The program that trains one module of a supernet: it gets its task on standard input, and exchanges nothing with others."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path

from hwsearch._json import JsonObject
from hwsearch.api.training import train_rank
from hwsearch.api.training_rank import end_with_starter
from hwsearch.errors import HwsearchError
from hwsearch.training.assembling import Admission
from hwsearch.training.ranks import ALONE

#: seconds between two writings of the state
EVERY_S = 1.0


class Status:
    """Write the state of a training to a file that the starter reads.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = float("-inf")

    def write(self, status: JsonObject) -> None:
        """Write the state, at most once a second and at the end.

        Parameters
        ----------
        status : dict
            As `hwsearch.train` tells it.
        """
        now = time.monotonic()
        if now - self._written >= EVERY_S or status["step"] == status["steps"]:
            self._written = now
            partial = self.path.with_suffix(".partial")
            partial.write_text(json.dumps(status), encoding="utf-8")
            partial.replace(self.path)


def main() -> int:
    """Train one module.

    Returns
    -------
    int
        Exit code: 0, 1 after a typed error, which is the last line of standard error, or 130 after Ctrl-C.
    """
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # only the starter sends it, even one that ignores Ctrl-C itself
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=end_with_starter, daemon=True).start()
    admission = Admission(task["identity"]) if "identity" in task else None
    try:
        train_rank(ALONE, **task["given"], progress=Status(Path(task["status"])).write, admission=admission)
    except HwsearchError as error:
        said = " ".join(str(error).split())
        if admission is not None:  # another host wants to know whether the training itself has failed
            end = "failed" if admission.begun else "refused"
            Path(task["outcome"]).write_text(json.dumps({"end": end, "why": said}), encoding="utf-8")
        sys.stderr.write(f"{said}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

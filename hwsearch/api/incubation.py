"""Incubation of modules: processes of this host, each of which trains one."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch.api.processes import END_S
from hwsearch.devices.helper import Helper
from hwsearch.devices.threads import allowed_cores, compute_threads
from hwsearch.training import Trainer
from hwsearch.training.assembling import ModuleError, piece_name

log = logging.getLogger(__name__)

#: the program that trains one module
MODULE = "hwsearch.api.training_module"
#: seconds between two looks at the processes
LOOK_S = 0.1


@dataclass
class Incubation(ABC):
    """Train modules apart, and tell where they are as one training.

    Attributes
    ----------
    trainers : dict of int to Trainer
        A trainer of each module, for what is told; they train nothing.
    given : dict of str to object
        Arguments of `hwsearch.train` for the processes, without ``module`` and ``progress``.
    progress : callable or None
        Called with the state of all.
    """

    trainers: dict[int, Trainer]
    given: JsonObject
    progress: Callable[[JsonObject], None] | None
    _states: dict[int, JsonObject] = field(default_factory=dict)
    _rows: dict[int, int] = field(default_factory=dict)
    _history: list[JsonObject] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _told: JsonObject = field(default_factory=dict)

    @abstractmethod
    def run(self, missing: list[int]) -> None:
        """Train modules until each has ended.

        Parameters
        ----------
        missing : list of int
            The modules.

        Raises
        ------
        ModuleError
            If one is not finished; the others are trained to their end before.
        """

    def note(self, text: str) -> None:
        """Keep a remark, which is logged and told.

        Parameters
        ----------
        text : str
            A sentence.
        """
        log.warning("%s", text)
        self._notes.append(text)
        if self.progress is not None and self._told:
            self.progress(self._told)

    def tell(self, module: int, state: JsonObject, missing: list[int]) -> None:
        """Tell where all modules are, if one is elsewhere than before.

        Parameters
        ----------
        module : int
            The module.
        state : dict
            Of its training.
        missing : list of int
            All modules that are trained.
        """
        if state == self._states.get(module):
            return
        seen = self._rows.get(module, 0)  # a module that goes on from its last checkpoint tells some again
        self._history += [{"module": module, **row} for row in state["history"][seen:]]
        self._rows[module] = max(seen, len(state["history"]))
        self._states[module] = state
        states = self._states.values()
        self._told = {
            "step": sum(s["step"] for s in states),
            "steps": len(missing) * self.trainers[module].total_steps,
            "examples_per_s": sum(s["examples_per_s"] for s in states if s["step"] < s["steps"]),
            "examples": state["examples"],
            "kernels": state["kernels"],
            "device": state["device"],
            "losses": {
                piece_name(m): s["losses"]["largest"]
                for m, s in sorted(self._states.items())
                if "largest" in s["losses"]
            },
            "history": self._history,
            "notes": self._notes,
        }
        if self.progress is not None:
            self.progress(self._told)

    def end(self, lost: list[str]) -> None:
        """Say which modules are not finished.

        Parameters
        ----------
        lost : list of str
            Why, a clause each.

        Raises
        ------
        ModuleError
            If there are any.
        """
        if lost:
            raise ModuleError(
                f"{'; '.join(lost)}. What was trained is kept, the other modules to their end.",
                hint="Give the same command again: only this module goes on, from its last checkpoint.",
            )


@dataclass
class LocalIncubation(Incubation):
    """Train modules by processes of this host: as many at once as cores, each with threads of its own."""

    @override
    def run(self, missing: list[int]) -> None:
        # of all modules, so that a resumed one has as many threads as before
        at_once = min(len(self.trainers), allowed_cores())
        environment = os.environ | {"OMP_NUM_THREADS": str(compute_threads(at_once))}
        log.info("%d modules, %d at once, %s threads each", len(missing), at_once, environment["OMP_NUM_THREADS"])
        waiting, running, lost = list(missing), dict[int, Helper](), list[str]()
        with tempfile.TemporaryDirectory(prefix="hwsearch-modules-") as name:
            folder = Path(name)
            try:
                while waiting or running:
                    while waiting and len(running) < at_once:
                        module = waiting.pop(0)
                        running[module] = self._start(module, folder, environment)
                    for module, helper in list(running.items()):
                        self._look(module, folder, missing)
                        if helper.process.poll() is not None:
                            del running[module]
                            if fate := helper.fate():
                                self.note(f"{fate}; the other modules go on")
                                lost.append(fate)
                            helper.end(0.0)
                    time.sleep(LOOK_S)
            except KeyboardInterrupt:
                for helper in running.values():
                    helper.interrupt()
                for helper in running.values():
                    helper.end(END_S)
                raise
            finally:
                for helper in running.values():
                    helper.end(0.0)
        self.end(lost)

    def _start(self, module: int, folder: Path, environment: dict[str, str]) -> Helper:
        task = {"status": str(folder / f"{module}.json"), "given": {**self.given, "module": module}}
        return Helper(piece_name(module), MODULE, task, folder / f"{module}.txt", environment)

    def _look(self, module: int, folder: Path, missing: list[int]) -> None:
        """Read where a module is."""
        with suppress(OSError, ValueError):
            state = json.loads((folder / f"{module}.json").read_text(encoding="utf-8"))
            self.tell(module, state, missing)

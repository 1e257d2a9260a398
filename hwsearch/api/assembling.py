"""Train the modules of a supernet apart, each by a process of its own, and put them together."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hwsearch._json import JsonObject
from hwsearch.api.processes import END_S, Helper
from hwsearch.devices.threads import allowed_cores, compute_threads
from hwsearch.errors import ConfigError, TrainingError
from hwsearch.supernets.checkpoint import digest
from hwsearch.supernets.kernels import Choice
from hwsearch.supernets.kernels.masked import MaskedKernels
from hwsearch.training import Strategy, Trainer, TrainingConfig
from hwsearch.training.assembling import (
    FILE,
    ModuleError,
    keep_piece,
    piece_folder,
    piece_name,
    read_piece,
    told,
)
from hwsearch.training.ranks import Ranks
from hwsearch.training.strategies.assemble import Assemble

log = logging.getLogger(__name__)

#: the program that trains one module
MODULE = "hwsearch.api.training_module"
#: seconds between two looks at the processes
LOOK_S = 0.1

#: makes the trainer of a strategy: with its settings, the folder, and the weights that it starts from
Maker = Callable[[Strategy, TrainingConfig, Path, str], Trainer]


def check_assembling(
    stages: list[tuple[Strategy, TrainingConfig]], module: int | None, ranks: Ranks, kernels: Choice, recipe: str
) -> None:
    """Refuse what training in pieces cannot be combined with.

    Parameters
    ----------
    stages : list of tuple
        Strategies and settings of the recipe.
    module : int or None
        The only module that is asked for.
    ranks : Ranks
        This process among those that train together.
    kernels : Choice
        The kernels of the step.
    recipe : str
        Where the stages came from, for messages.

    Raises
    ------
    ConfigError
        If the recipe has no stage, or several, of the strategy ``assemble`` where one module is asked for, or names a module.
    TrainingError
        If the module is not there, several processes share batches out, or kernels are masked.
    """
    found = [strategy for strategy, _ in stages if isinstance(strategy, Assemble)]
    if module is not None and len(found) != 1:
        raise ConfigError(
            f"{recipe}: module={module} is asked for, and {len(found)} stages have the strategy 'assemble'.",
            hint="Leave module out." if not found else "Write a recipe with one of them.",
        )
    for strategy in found:
        if strategy.module:
            raise ConfigError(
                f"{recipe}: module = {strategy.module} does not belong into a recipe.",
                hint=f"Leave it out; --module {strategy.module} trains this module only.",
            )
        if module is not None and not 0 <= module <= strategy.modules:
            raise TrainingError(
                f"module={module}: there are {strategy.modules} modules.",
                hint="0 is the meta network; modules count from 1.",
            )
    if found and ranks.world > 1:
        raise TrainingError(
            f"processes={ranks.world} share batches out, and the strategy 'assemble' has a process for each module.",
            hint="Leave processes out.",
        )
    if found and isinstance(kernels.kernels, MaskedKernels):
        raise TrainingError("masked kernels cannot train a module alone.", hint="Use --kernels auto or eager.")


@dataclass(frozen=True)
class Pieces:
    """The pieces of one stage: the meta network and the modules, each a training in a folder of its own.

    Attributes
    ----------
    strategy : Assemble
        The strategy.
    config : TrainingConfig
        Settings of the stage.
    stage : Path
        Its folder.
    maker : callable
        Makes trainers, all on one supernet.
    """

    strategy: Assemble
    config: TrainingConfig
    stage: Path
    maker: Maker

    def trainer(self, module: int, origin: str) -> Trainer:
        """Make the trainer of one piece.

        Parameters
        ----------
        module : int
            0 for the meta network, from 1 a module.
        origin : str
            The weights that it starts from.

        Returns
        -------
        Trainer
            The trainer.
        """
        strategy, folder = self.strategy.piece(module), piece_folder(self.stage, module)
        if module:
            return self.maker(strategy, self.config, folder, origin)
        steps = self.maker(strategy, self.config, folder, origin).total_steps
        return self.maker(strategy, self.strategy.config_of(0, self.config, steps), folder, origin)

    def meta(self, origin: str | None) -> Trainer:
        """Train the meta network, or take it up where it is finished.

        Parameters
        ----------
        origin : str or None
            The weights that it starts from; None takes what is finished from any, and trains nothing.

        Returns
        -------
        Trainer
            Its trainer, whose supernet has the meta network's weights.

        Raises
        ------
        ModuleError
            If it is of another run, or not finished and not to be trained here.
        """
        trainer = self.trainer(0, origin or "")
        piece = read_piece(trainer, piece_name(0), any_origin=origin is None)
        if piece is not None:
            piece.adopt(trainer.supernet)
            return told(trainer, piece)
        if origin is None:
            raise ModuleError(
                f"there is no finished meta network in {str(trainer.folder)!r}, which all modules need.",
                hint="Train it by --module 0, and copy the folder.",
            )
        if self.strategy.meta:
            trainer.run()
        keep_piece(trainer)
        return trainer

    def only(self, module: int, origin: str) -> JsonObject:
        """Train one piece only.

        Parameters
        ----------
        module : int
            0 for the meta network, from 1 a module, for which the meta network must be finished.
        origin : str
            The weights that the meta network starts from.

        Returns
        -------
        dict of str to object
            What was trained, and the file that holds it.

        Raises
        ------
        TrainingError
            If the training fails, or something is of another run.
        """
        trainer = self.meta(None if module else origin)
        if module:
            trainer = self.trainer(module, digest(trainer.supernet))
            piece = read_piece(trainer, piece_name(module))
            if piece is None:
                trainer.run()
                keep_piece(trainer)
            else:
                told(trainer, piece)
        return {
            "module": module,
            "modules": self.strategy.modules,
            "seconds": round(trainer.seconds, 1),
            "steps": trainer.step,
            "passes": trainer.passes,
            "gradient_bytes_exchanged": trainer.ranks.sent[0],
            "file": str(trainer.folder / FILE),
        }

    def all(self, origin: str, given: JsonObject, progress: Callable[[JsonObject], None] | None) -> list[Trainer]:
        """Train what is not finished, the modules by processes of their own, and assemble the supernet.

        Parameters
        ----------
        origin : str
            The weights that the meta network starts from.
        given : dict of str to object
            Arguments of `hwsearch.train` for the processes, without ``module`` and ``progress``.
        progress : callable or None
            Called with the state of all.

        Returns
        -------
        list of Trainer
            Of the meta network and the modules; their supernet is assembled.

        Raises
        ------
        ModuleError
            If a process died, or a piece is of another run; what the others trained is kept.
        """
        first = self.meta(origin)
        numbers = range(1, self.strategy.modules + 1)
        trainers = {module: self.trainer(module, digest(first.supernet)) for module in numbers}
        missing = [m for m in numbers if read_piece(trainers[m], piece_name(m)) is None]
        if missing:
            Incubation(trainers, given, progress).run(missing)
        pieces = {module: read_piece(trainers[module], piece_name(module)) for module in numbers}
        for module, piece in pieces.items():
            if piece is None:
                raise ModuleError(f"{piece_name(module)} is not finished.", hint="Give the same command again.")
            piece.adopt(first.supernet)
            told(trainers[module], piece)
        return [first, *trainers.values()]


@dataclass
class Incubation:
    """The processes that train modules: as many at once as cores, each with threads of its own.

    Attributes
    ----------
    trainers : dict of int to Trainer
        A trainer of each module, for what is told; they train nothing.
    given : dict of str to object
        Arguments of `hwsearch.train`.
    progress : callable or None
        Called with the state of all.
    """

    trainers: dict[int, Trainer]
    given: JsonObject
    progress: Callable[[JsonObject], None] | None
    _states: dict[int, JsonObject] = field(default_factory=dict)
    _history: list[JsonObject] = field(default_factory=list)

    def run(self, missing: list[int]) -> None:
        """Train modules until each has ended.

        Parameters
        ----------
        missing : list of int
            The modules.

        Raises
        ------
        ModuleError
            If one died; the others are trained to their end before.
        """
        at_once = min(
            len(self.trainers), allowed_cores()
        )  # of all, so that a resumed module has as many threads as before
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
                                log.warning("%s; the other modules go on", fate)
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
        if lost:
            raise ModuleError(
                f"{'; '.join(lost)}. What was trained is kept, the other modules to their end.",
                hint="Give the same command again: only this module goes on, from its last checkpoint.",
            )

    def _start(self, module: int, folder: Path, environment: dict[str, str]) -> Helper:
        task = {"status": str(folder / f"{module}.json"), "given": {**self.given, "module": module}}
        return Helper(piece_name(module), MODULE, task, folder / f"{module}.txt", environment)

    def _look(self, module: int, folder: Path, missing: list[int]) -> None:
        """Read where a module is, and tell where all are."""
        with suppress(OSError, ValueError):
            state = json.loads((folder / f"{module}.json").read_text(encoding="utf-8"))
            if state == self._states.get(module):
                return
            seen = len(self._states.get(module, {}).get("history", []))
            self._history += [{"module": module, **row} for row in state["history"][seen:]]
            self._states[module] = state
            if self.progress is not None:
                states = self._states.values()
                self.progress(
                    {
                        "step": sum(s["step"] for s in states),
                        "steps": len(missing) * self.trainers[module].total_steps,
                        "examples_per_s": sum(s["examples_per_s"] for s in states if s["step"] < s["steps"]),
                        "examples": state["examples"],
                        "kernels": state["kernels"],
                        "losses": {
                            piece_name(m): s["losses"]["largest"]
                            for m, s in sorted(self._states.items())
                            if "largest" in s["losses"]
                        },
                        "history": self._history,
                    }
                )

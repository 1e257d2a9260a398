"""Train the modules of a supernet apart, each by a process of its own, and put them together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hwsearch._json import JsonObject
from hwsearch.api.incubation import Incubation
from hwsearch.errors import ConfigError, TrainingError
from hwsearch.supernets.checkpoint import digest
from hwsearch.supernets.kernels import Choice
from hwsearch.supernets.kernels.masked import MaskedKernels
from hwsearch.training import Strategy, Trainer, TrainingConfig
from hwsearch.training.assembling import (
    FILE,
    Admission,
    ModuleError,
    keep_piece,
    piece_folder,
    piece_name,
    read_piece,
    told,
)
from hwsearch.training.ranks import Ranks
from hwsearch.training.strategies.assemble import Assemble

#: makes the trainer of a strategy: with its settings, the folder, and the weights that it starts from
Maker = Callable[[Strategy, TrainingConfig, Path, str], Trainer]


def check_assembling(
    stages: list[tuple[Strategy, TrainingConfig]],
    module: int | None,
    ranks: Ranks,
    kernels: Choice,
    recipe: str,
    *,
    cluster: bool = False,
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
    cluster : bool
        Whether workers of other hosts train the modules.

    Raises
    ------
    ConfigError
        If the recipe has no stage, or several, of the strategy ``assemble`` where one module is asked for, or names a module; or
        has none for the workers of other hosts.
    TrainingError
        If the module is not there, several processes share batches out, or kernels are masked.
    """
    found = [strategy for strategy, _ in stages if isinstance(strategy, Assemble)]
    if module is not None and len(found) != 1:
        raise ConfigError(
            f"{recipe}: module={module} is asked for, and {len(found)} stages have the strategy 'assemble'.",
            hint="Leave module out." if not found else "Write a recipe with one of them.",
        )
    if cluster and (not found or module is not None):
        why = "no stage of the recipe has modules to train" if not found else f"module={module} is trained here"
        raise ConfigError(
            f"{recipe}: a scheduler is given, and {why}.",
            hint="Its workers train modules of the strategy 'assemble'; leave scheduler out."
            if not found
            else "Leave module out, or scheduler.",
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


def missing_pieces(stages: list[tuple[Strategy, TrainingConfig]], place: Path) -> bool:
    """Tell whether a module is to be trained yet.

    Parameters
    ----------
    stages : list of tuple
        Strategies and settings of the recipe.
    place : Path
        The folder of the training.

    Returns
    -------
    bool
        Whether the file of one is missing.
    """
    return any(
        not (piece_folder(place / f"stage-{number}", module) / FILE).exists()
        for number, (strategy, _) in enumerate(stages, 1)
        if isinstance(strategy, Assemble)
        for module in range(1, strategy.modules + 1)
    )


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

    def only(self, module: int, origin: str, admission: Admission | None = None) -> JsonObject:
        """Train one piece only.

        Parameters
        ----------
        module : int
            0 for the meta network, from 1 a module, for which the meta network must be finished.
        origin : str
            The weights that the meta network starts from.
        admission : Admission, optional
            Compares this training with the one that another host has asked for.

        Returns
        -------
        dict of str to object
            What was trained, and the file that holds it.

        Raises
        ------
        TrainingError
            If the training fails, or something is of another run.
        """
        if admission is not None:
            admission.check(self.trainer(module, ""))
        trainer = self.meta(None if module else origin)
        if module:
            trainer = self.trainer(module, digest(trainer.supernet))
            piece = read_piece(trainer, piece_name(module))
            if piece is None:
                if admission is not None:
                    admission.begin(trainer)
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

    def all(self, origin: str, incubation: Callable[[dict[int, Trainer]], Incubation]) -> list[Trainer]:
        """Train what is not finished, the modules by processes of their own, and assemble the supernet.

        Parameters
        ----------
        origin : str
            The weights that the meta network starts from.
        incubation : callable
            Makes what trains the modules, given a trainer of each.

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
            incubation(trainers).run(missing)
        pieces = {module: read_piece(trainers[module], piece_name(module)) for module in numbers}
        for module, piece in pieces.items():
            if piece is None:
                raise ModuleError(f"{piece_name(module)} is not finished.", hint="Give the same command again.")
            piece.adopt(first.supernet)
            told(trainers[module], piece)
        return [first, *trainers.values()]

"""Deep Model Assembling: the strategy ``assemble``, modules trained apart that never exchange a gradient."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from hwsearch.errors import TrainingError
from hwsearch.training.config import TrainingConfig
from hwsearch.training.parts.loss import Labels
from hwsearch.training.parts.modules import HybridSampler, OneModule, cut_into_modules
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.strategies.base import Strategy


class Assemble(Strategy):
    """Train a small meta network, then every module of the supernet within it, each in a process of its own; assemble them.

    The meta network is the smallest subnet. The supernet's parameters are cut into contiguous modules
    (`hwsearch.training.parts.modules.cut_into_modules`). A module is incubated: hybrid subnets have free genes in it and are
    the meta network elsewhere, which stands still; the loss is the ordinary one, on the targets. No process needs anything of
    another. ``hwsearch train`` does all of it; a `hwsearch.training.Trainer` does what `module` says.

    Attributes
    ----------
    modules : int
        How many modules; the paper's are 4.
    meta : float
        Steps of the meta network's training, as a share of those of a module's; 0 takes the weights that the stage starts
        with.
    random : int
        Random subnets in each step of a module, besides its largest and its smallest.
    label_smoothing : float
        Label smoothing.
    module : int
        What is trained: 0 the meta network, from 1 a module within it.

    References
    ----------
    Ni et al., "Deep model assembling", 2022, arXiv 2212.04129; with the title "Deep incubation: training large models by
    divide-and-conquering", ICCV 2023. There modules are whole stages of a deeper network; that they are elastic, and the
    meta network their smallest subnet, is ours.
    """

    modules: int = Field(2, ge=2, le=1024)
    meta: float = Field(0.5, ge=0, le=1000)
    random: int = Field(2, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    module: int = Field(0, ge=0)

    @override
    def recipe(self, run: Run) -> Recipe:
        if self.module > self.modules:
            raise TrainingError(
                f"module={self.module}: there are {self.modules} modules.",
                hint="0 is the meta network; modules count from 1.",
            )
        cut = cut_into_modules(run, self.modules)
        sampler = HybridSampler(module=self.module, random=self.random).use(cut)
        loss = Labels(smoothing=self.label_smoothing)
        if self.module == 0:
            return Recipe(sampler, loss)
        names = cut.parameters[self.module - 1]
        return Recipe(sampler, loss, view=OneModule(first=names[0], last=names[-1], held=cut.held))

    def piece(self, module: int) -> Assemble:
        """Get the strategy of one process.

        Parameters
        ----------
        module : int
            0 for the meta network, from 1 a module.

        Returns
        -------
        Assemble
            The same settings with this `module`.
        """
        return self.model_copy(update={"module": module})

    def config_of(self, module: int, config: TrainingConfig, steps: int) -> TrainingConfig:
        """Get the hyper-parameters of one process.

        Parameters
        ----------
        module : int
            0 for the meta network, from 1 a module.
        config : TrainingConfig
            Those of the stage.
        steps : int
            Steps of the stage.

        Returns
        -------
        TrainingConfig
            The same but for the steps of the meta network.
        """
        if module:
            return config
        return config.model_copy(update={"steps": max(1, round(self.meta * steps))})

"""A training strategy: which parts make a training."""

from __future__ import annotations

from abc import abstractmethod

from hwsearch.supernets.base import Supernet
from hwsearch.training.part import Part
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run


class Strategy(Part):
    """A way to train a supernet: it assembles parts, and the trainer's one loop does the rest.

    A strategy of your own is a subclass in one file, named by an entry point of the group ``hwsearch.strategies``; its
    fields are the options of a recipe file. `hwsearch.testing.StrategyConformance` checks it.

    Examples
    --------
    >>> from hwsearch.training.parts.sampler import UniformSampler
    >>> class TwoPaths(Strategy):
    ...     def recipe(self, run):
    ...         return Recipe(UniformSampler(draws=2))
    >>> TwoPaths().identity()
    {'part': 'TwoPaths'}
    """

    def prepare_supernet(self, net: Supernet, seed: int) -> Supernet:
        """Give the network that is trained, before a `hwsearch.training.Trainer` gets it; by default the supernet as it is.

        Parameters
        ----------
        net : Supernet
            The supernet with the weights that the training starts from.
        seed : int
            Seed of whatever is drawn.

        Returns
        -------
        Supernet
            The same, or one that has it as its part, whose weight file holds more.

        Raises
        ------
        TrainingError
            If the supernet cannot be served.
        """
        return net

    @abstractmethod
    def recipe(self, run: Run) -> Recipe:
        """Assemble the training.

        Parameters
        ----------
        run : Run
            What is known of the run.

        Returns
        -------
        Recipe
            Fresh parts at each call.

        Raises
        ------
        TrainingError
            If the supernet, the task or the data cannot be served; nothing is trained then.
        """

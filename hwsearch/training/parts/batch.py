"""One batch of training examples, at every input size that a step needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from hwsearch._typing import IntArray
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Inputs


@dataclass(frozen=True)
class Batch:
    """Examples of one step.

    Attributes
    ----------
    inputs : Inputs
        Inputs at the size of the largest subnet.
    targets : Tensor
        Targets, ``(b, …)``.
    index : IntArray
        Positions in the training data, shape ``(b,)``.
    size : int
        Input size of `inputs`.
    weight : Tensor, optional
        Factor of each example's loss, shape ``(b,)``: 1/(N p) where examples are drawn with probability p.
    other_targets : Tensor, optional
        Targets of the examples that were mixed into these.
    share : float
        Share of the targets in the mixed examples; 1 where nothing is mixed.
    """

    inputs: Inputs
    targets: Tensor
    index: IntArray
    size: int
    weight: Tensor | None = None
    other_targets: Tensor | None = None
    share: float = 1.0
    _sized: dict[int, Inputs] = field(default_factory=dict, repr=False)

    def at(self, size: int, task: Task) -> Inputs:
        """Bring the inputs to a subnet's size; each size is computed once.

        Parameters
        ----------
        size : int
            Input size of the subnet.
        task : Task
            Knows how inputs are resized.

        Returns
        -------
        Inputs
            The inputs of that size.
        """
        if size == self.size:
            return self.inputs
        if size not in self._sized:
            self._sized[size] = task.resize(self.inputs, size)
        return self._sized[size]

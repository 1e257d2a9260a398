"""Task of a network: how data are read, what is learnt, and how a network is judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch._typing import IntArray
from hwsearch.tasks.data import Data, Inputs
from hwsearch.tasks.pixels import PixelScale
from hwsearch.tasks.score import Score


class Preparation(Protocol):
    """The preprocessing of a task: how raw data become a network's input."""

    def to_dict(self) -> dict[str, Any]:
        """Describe the preprocessing for the card of a model; part of the key under which scores are stored.

        Returns
        -------
        dict of str to object
            Plain values.
        """
        ...


@dataclass(frozen=True)
class Augmentation:
    """Random variation of training examples; each task uses what applies to its inputs.

    Parameters
    ----------
    crop_padding : int
        Images: zero padding of a random crop, in pixels.
    mirror : bool
        Images: mirror each with probability one half.
    operations : int
        Images: so many random operations on each (RandAugment).
    magnitude : float
        Images: strength of these operations, from 0 to 10.
    """

    crop_padding: int = 0
    mirror: bool = True
    operations: int = 0
    magnitude: float = 9.0


class Task(ABC):
    """Task of a network: reader, preprocessing, loss, score with its unit, and the nouns for messages.

    General code asks the task of the supernet (`hwsearch.supernets.entry.SupernetEntry.task`) and never looks at the
    kind of the data. A task of your own is a subclass, its `Data` and its `Score` in one file, named by an entry point
    of the group ``hwsearch.tasks``; `hwsearch.testing.TaskConformance` checks it.

    A score is **higher-is-better by definition** (`Score`): campaigns store it as the metric ``accuracy`` and maximise
    it. Report R² or a negative error instead of an error.

    Attributes
    ----------
    name : str
        The name of the entry point.
    preprocess : Preparation
        How raw data become a network's input.
    examples : str
        What examples are called in messages, in the plural: ``"images"``, ``"sentences"``.
    score_name : str
        The score's name in tables and messages: ``"top-1"``, ``"BLEU"``.
    score_label : str
        The score's name on the axis of a plot, without its unit. Empty: `score_name`.
    score_key : str
        The score's name in keys of cards and logs, to which ``_percent`` is added where that is the unit. Empty:
        `score_name` in lower case.
    score_unit : str
        ``"%"``, or empty where the score is a number of its own. Scores are shown with one decimal place.
    small_difference : float
        A difference of the score, in its unit, that few users would mind; the report names the fastest network that
        is worse than the best by no more than this.
    standard_error_kind : str
        How `Score.standard_error` is estimated: ``"binomial"``, ``"bootstrap"``.
    counts_correct : bool
        Whether the score is the percentage of examples answered right, so that `Score.correct` exists and candidates
        can race (`hwsearch.accuracy.racing`).
    """

    name: ClassVar[str]
    examples: ClassVar[str] = "examples"
    score_name: ClassVar[str]
    score_label: ClassVar[str] = ""
    score_key: ClassVar[str] = ""
    score_unit: ClassVar[str] = ""
    small_difference: ClassVar[float] = 1.0
    standard_error_kind: ClassVar[str] = "bootstrap"
    counts_correct: ClassVar[bool] = False
    preprocess: Preparation

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if name := getattr(cls, "score_name", ""):
            cls.score_label = cls.score_label or name
            cls.score_key = cls.score_key or name.lower()

    @property
    def score_field(self) -> str:
        """The score's key on the card of a model, its unit included: ``"top1_percent"``, ``"bleu"``."""
        return f"{self.score_key}_percent" if self.score_unit == "%" else self.score_key

    @property
    def difference_unit(self) -> str:
        """The unit of differences between scores: ``"pt"`` of percentages, else the unit or the score's name."""
        return "pt" if self.score_unit == "%" else self.score_unit or self.score_name

    @abstractmethod
    def read(
        self, text: str, *, limit: int, classes: tuple[str, ...] | None = None, vocabulary: Path | None = None
    ) -> Data:
        """Read examples as the configuration of a campaign names them.

        Parameters
        ----------
        text : str
            What the configuration says: a file or folder, perhaps with ``:split``.
        limit : int
            Read at most this many examples, the first ones.
        classes : tuple of str, optional
            The expected classes in the order of the network's outputs.
        vocabulary : Path, optional
            The vocabulary file of a text task.

        Returns
        -------
        Data
            The examples.

        Raises
        ------
        DataError
            If the data are missing or malformed, or an option does not apply to this task.
        """

    def split(self, source: str, split: str) -> str:
        """Name one split of a data set that holds several, as `read` takes it.

        Parameters
        ----------
        source : str
            The file or folder of the whole data set.
        split : str
            ``"train"`` or ``"test"``.

        Returns
        -------
        str
            By default ``source:split``.
        """
        return f"{source}:{split}"

    @abstractmethod
    def evaluate(self, net: nn.Module, data: Data, size: int, *, batch: int = 250) -> Score:
        """Score a network on all examples.

        Parameters
        ----------
        net : torch.nn.Module
            The network; it is evaluated in evaluation mode and left in the mode it had.
        data : Data
            Examples of this task.
        size : int
            Input size, as `Data.batches` takes it.
        batch : int
            Examples in each forward pass; a task may choose its own batches.

        Returns
        -------
        Score
            The score, in the order of `data`.

        Raises
        ------
        MeasurementError
            If the network's outputs are not finite.
        """

    @abstractmethod
    def unpack(self, record: bytes, n: int) -> Score:
        """Read a score that `Score.pack` wrote.

        Parameters
        ----------
        record : bytes
            The stored record.
        n : int
            Number of examples.

        Returns
        -------
        Score
            The score.

        Raises
        ------
        MeasurementError
            If the record cannot be one of `n` examples.
        """

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """Compute the training loss of one batch.

        Parameters
        ----------
        outputs : Tensor
            The network's outputs, examples along the first axis.
        targets : Tensor
            Targets as `Data.batches` yields them.
        label_smoothing : float
            Share of the target distribution given to all classes; ignored where there are no classes.

        Returns
        -------
        Tensor
            The mean loss, a scalar.
        """

    def distillation_loss(self, outputs: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss of a smaller subnet that learns from the outputs of a larger one.

        By default the mean squared difference of the outputs.

        Parameters
        ----------
        outputs : Tensor
            The smaller subnet's outputs.
        teacher : Tensor
            The larger subnet's outputs on the same examples, of the same shape; detached from its graph.
        targets : Tensor
            Targets as `Data.batches` yields them, where they tell padding.

        Returns
        -------
        Tensor
            The mean loss, a scalar.
        """
        return F.mse_loss(outputs, teacher)

    def training_batch(
        self, data: Data, indices: IntArray, size: int, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[Inputs, Tensor]:
        """Prepare one batch of training examples, varied at random where the task knows how.

        By default the examples as they are.

        Parameters
        ----------
        data : Data
            The training data.
        indices : IntArray
            Positions of the batch's examples, shape ``(b,)``.
        size : int
            Input size, as `Data.batches` takes it.
        rng : numpy.random.Generator
            Source of all randomness.
        augmentation : Augmentation
            How examples may be varied.

        Returns
        -------
        inputs : Inputs
            Inputs of the network.
        targets : Tensor
            Targets.
        """
        return next(data.take(indices).batches(size, len(indices)))

    def resize(self, inputs: Inputs, size: int) -> Inputs:
        """Bring a training batch of the largest input size to a smaller subnet's.

        By default the inputs as they are.

        Parameters
        ----------
        inputs : Inputs
            As `training_batch` returns them.
        size : int
            Input size of the smaller subnet.

        Returns
        -------
        Inputs
            The inputs of that size.
        """
        return inputs

    def pixel_scale(self) -> PixelScale | None:
        """Tell how pixels become inputs, where inputs are images: certified accuracy is in units of pixels.

        Returns
        -------
        PixelScale or None
            None (the default) where inputs are no pixels.
        """
        return None

    def describe_size(self, size: int) -> dict[str, int]:
        """Describe the input size on the card of a model; by default nothing.

        Parameters
        ----------
        size : int
            Input size, as `Data.batches` takes it.

        Returns
        -------
        dict of str to int
            For example ``{"side": 224}``.
        """
        return {}

    def no_better_than(self, value: float, standard_error: float, data: Data) -> str | None:
        """Tell whether a score is so low that weights and data may not belong together.

        Parameters
        ----------
        value, standard_error : float
            The best score of several subnets.
        data : Data
            The examples it was measured on.

        Returns
        -------
        str or None
            What the score is not clearly better than, to end the sentence "not clearly better than …"; None (the
            default) where it is, or where chance has no score.
        """
        return None

"""The task ``translation``: sentence pairs, judged by BLEU of beam-search translations."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.errors import MeasurementError
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data
from hwsearch.tasks.translation.beam import Translator
from hwsearch.tasks.translation.bleu import Bleu
from hwsearch.tasks.translation.data import TranslationData
from hwsearch.tasks.translation.readers import read_translation
from hwsearch.tasks.translation.score import evaluate_translation
from hwsearch.tasks.translation.vocabulary import PAD, Subwords

#: a lower BLEU says that a network translates nothing
LEAST_BLEU = 1.0


class TranslationTask(Task):
    """Translation of sentences, judged by BLEU (0 to 100).

    Sentences stay as long as they are: the input size has no effect. Networks must be a
    `hwsearch.tasks.translation.beam.Translator`.

    Parameters
    ----------
    preprocess : Subwords, optional
        Languages, and how words are split; English to German where none is given.
    """

    name = "translation"
    examples = "sentences"
    score_name = "BLEU"

    def __init__(self, preprocess: Subwords | None = None) -> None:
        self.preprocess: Subwords = preprocess or Subwords()

    @override
    def read(
        self, text: str, *, limit: int, classes: tuple[str, ...] | None = None, vocabulary: Path | None = None
    ) -> TranslationData:
        """Read a pair of text files; see `hwsearch.tasks.translation.readers.read_translation`."""
        return read_translation(text, self.preprocess, limit=limit, classes=classes, vocabulary=vocabulary)

    @override
    def split(self, source: str, split: str) -> str:
        """Name ``source/split``, to which the languages are added."""
        return f"{source}/{split}"

    @override
    def evaluate(self, net: nn.Module, data: Data, size: int, *, batch: int = 250) -> Bleu:
        """Translate all sentences; they are batched by their tokens, not by `batch`."""
        if not isinstance(data, TranslationData):
            raise MeasurementError(f"{data.name!r} are no translations.")
        if not isinstance(net, Translator):
            raise MeasurementError(f"{type(net).__name__} translates nothing, but {data.name!r} are translations.")
        training = net.training
        net.eval()
        try:
            return evaluate_translation(net, data)
        finally:
            net.train(training)

    @override
    def unpack(self, record: bytes, n: int) -> Bleu:
        return Bleu.unpack(record, n)

    @override
    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """Compute the cross-entropy of logits (n, T, tokens) against tokens (n, T), without padding."""
        return F.cross_entropy(
            outputs.flatten(0, -2), targets.flatten(), ignore_index=PAD, label_smoothing=label_smoothing
        )

    @override
    def distillation_loss(self, outputs: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Compute the cross-entropy against the teacher's distribution over tokens, without padding."""
        real = targets != PAD
        return F.cross_entropy(outputs[real], teacher[real].softmax(1))

    @override
    def no_better_than(self, value: float, standard_error: float, data: Data) -> str | None:
        return "nothing:" if value < LEAST_BLEU else None

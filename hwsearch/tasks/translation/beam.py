"""Beam search for translation, sentence by sentence in one batch, with cached keys and values.

The rules are those of fairseq (Ott et al., 2019, arXiv 1904.01038), so that published BLEU figures can be met.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from hwsearch.errors import MeasurementError
from hwsearch.tasks.translation.vocabulary import EOS, PAD


@runtime_checkable
class Translator(Protocol):
    """A network that translates token by token, or its deployed models in some runtime.

    All tensors of `memory` and `past` have the batch as their first axis: N sentences in what is of the source, and in
    what is of translations `beam` hypotheses of each sentence, side by side, K = N · beam.
    """

    @property
    def vocabulary(self) -> int:
        """Number of tokens that the network's embedding has."""
        ...

    @property
    def positions(self) -> int:
        """The most tokens that a sentence may have."""
        ...

    def encode(self, source_NS: Tensor, /) -> list[Tensor]:
        """Encode source sentences.

        Parameters
        ----------
        source_NS : Tensor
            Padded source sentences, int64 ``(N, S)``.

        Returns
        -------
        list of Tensor
            What `step` takes as `memory`.
        """
        ...

    def start(self, n: int, /) -> list[Tensor]:
        """Make the empty keys and values of hypotheses without tokens.

        Parameters
        ----------
        n : int
            Number of hypotheses.

        Returns
        -------
        list of Tensor
            What the first `step` takes as `past`.
        """
        ...

    def step(
        self, token_K1: Tensor, source_NS: Tensor, memory: Sequence[Tensor], past: Sequence[Tensor], beam: int, /
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute the next tokens of all hypotheses.

        Parameters
        ----------
        token_K1 : Tensor
            The latest token of each hypothesis, int64 ``(K, 1)``.
        source_NS : Tensor
            Padded source sentences, int64 ``(N, S)``.
        memory, past : sequence of Tensor
            As `encode` and the step before gave them.
        beam : int
            Hypotheses of each sentence.

        Returns
        -------
        logits : Tensor
            Shape ``(K, tokens)``.
        past : list of Tensor
            Keys and values with those of `token_K1`.
        """
        ...


@dataclass(frozen=True)
class Hypothesis:
    """One translation.

    Parameters
    ----------
    tokens : tuple of int
        Token ids without ``</s>``.
    score : float
        Log-probability over length ** penalty.
    """

    tokens: tuple[int, ...]
    score: float


@torch.no_grad()
def translate(
    net: Translator, source_NS: Tensor, beam: int = 5, *, length_penalty: float = 0.6, max_length: int = 200
) -> list[Hypothesis]:
    """Translate sentences by beam search; `beam` = 1 is greedy search.

    A hypothesis ends where ``</s>`` is among the `beam` best of the continuations of one sentence's hypotheses, and a
    sentence is done with `beam` ended ones. Padding is never given.

    Parameters
    ----------
    net : Translator
        The network.
    source_NS : Tensor
        Source sentences, int64 ``(N, S)``, padded.
    beam : int
        Hypotheses of each sentence.
    length_penalty : float
        Exponent of the length (``</s>`` counted) that a log-probability is divided by.
    max_length : int
        Most tokens of a translation, without its ``</s>``; at least one token is always given.

    Returns
    -------
    list of Hypothesis
        The best hypothesis of each sentence.

    Raises
    ------
    MeasurementError
        If outputs are not finite, or an argument is out of range.

    References
    ----------
    Ott et al., "fairseq: a fast, extensible toolkit for sequence modeling", 2019, arXiv 1904.01038.
    """
    if beam < 1 or max_length < 1 or not math.isfinite(length_penalty):
        raise MeasurementError(
            f"beam {beam}, max_length {max_length} and length_penalty {length_penalty} must be at least 1, at least 1, "
            "and a number."
        )
    if source_NS.shape[1] > net.positions:
        raise MeasurementError(f"a sentence of {source_NS.shape[1]} tokens; the network has {net.positions} positions.")
    max_length = min(max_length, net.positions - 1)
    n = len(source_NS)
    sentences = list(range(n))
    ended: list[list[Hypothesis]] = [[] for _ in range(n)]
    source, memory, past = source_NS, net.encode(source_NS), net.start(n * beam)
    tokens = torch.full((n * beam, 1), EOS, device=source.device)
    scores = torch.full((n, beam), -torch.inf, device=source.device)
    scores[:, 0] = 0
    for length in range(max_length + 1):
        logits, past = net.step(tokens[:, -1:], source, memory, past, beam)
        if not torch.isfinite(logits).all():
            raise MeasurementError("the network's outputs are not finite.")
        logp = logits.log_softmax(1)
        logp[:, PAD] = -torch.inf
        if length == 0:
            logp[:, EOS] = -torch.inf
        if length == max_length:
            logp[:, :EOS] = -torch.inf
            logp[:, EOS + 1 :] = -torch.inf
        total = (scores.flatten()[:, None] + logp).view(len(sentences), -1)
        # each hypothesis can end once, so twice the beam holds `beam` that go on
        best, index = total.topk(2 * beam, dim=1)
        token, row = index % logp.shape[1], index // logp.shape[1]
        row = row + beam * torch.arange(len(sentences), device=row.device)[:, None]
        ends = (token == EOS) & torch.isfinite(best)
        for s, j in ends[:, :beam].nonzero().tolist():
            score = float(best[s, j]) / (length + 1) ** length_penalty
            ended[sentences[s]].append(Hypothesis(tuple(tokens[row[s, j], 1:].tolist()), score))
        left = [s for s, k in enumerate(sentences) if len(ended[k]) < beam]
        if not left or length == max_length:
            break
        going = (token == EOS).int().argsort(dim=1, stable=True)[left, :beam]
        rows = row[left].gather(1, going).flatten()
        tokens = torch.cat([tokens[rows], token[left].gather(1, going).view(-1, 1)], dim=1)
        scores = best[left].gather(1, going)
        past = [p[rows] for p in past]
        if len(left) < len(sentences):
            source, memory = source[left], [m[left] for m in memory]
            sentences = [sentences[s] for s in left]
    return [max(hypotheses, key=lambda h: h.score) for hypotheses in ended]

"""Beam search, against all translations of a small network, and its rules worked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from hwsearch.errors import MeasurementError
from hwsearch.tasks.translation.beam import Translator, translate
from hwsearch.tasks.translation.vocabulary import EOS, PAD, UNK

A, B = 4, 5
VOCABULARY = 6


class Table:
    """A network whose next token depends on the source's first token and on what it has given so far.

    chances : (first token of the source, tokens given) to probabilities by token; equal ones of A, B and the end where
    it says nothing
    """

    vocabulary = VOCABULARY

    def __init__(self, chances: dict[tuple[int, tuple[int, ...]], dict[int, float]], positions: int = 50) -> None:
        self.chances, self.positions = chances, positions
        self.sentences: list[int] = []

    def encode(self, source_NS: Tensor) -> list[Tensor]:
        return [source_NS[:, :1]]

    def start(self, n: int) -> list[Tensor]:
        return [torch.zeros(n, 0, dtype=torch.int64)]

    def step(
        self, token_K1: Tensor, source_NS: Tensor, memory: Sequence[Tensor], past: Sequence[Tensor], beam: int
    ) -> tuple[Tensor, list[Tensor]]:
        given = torch.cat([past[0], token_K1], dim=1)
        self.sentences.append(len(source_NS))
        assert torch.equal(memory[0][:, 0], source_NS[:, 0])
        logits = torch.full((len(given), VOCABULARY), -40.0)
        for k, row in enumerate(given[:, 1:].tolist()):
            default = dict.fromkeys((A, B, EOS), 1 / 3)
            for token, p in self.chances.get((int(memory[0][k // beam, 0]), tuple(row)), default).items():
                logits[k, token] = math.log(p)
        return logits, [given]


def test_the_stand_in_is_a_translator() -> None:
    assert isinstance(Table({}), Translator)


#: greedily A (0.6), whose best end has 0.6 · 0.5; but B ends with 0.4 · 0.9
TRAP = {(A, ()): {A: 0.6, B: 0.4}, (A, (A,)): {A: 0.3, B: 0.2, EOS: 0.5}, (A, (B,)): {EOS: 0.9, A: 0.1}}


def test_greedy_search_takes_the_best_token_and_a_beam_finds_the_better_sentence() -> None:
    source = torch.tensor([[A, EOS]])
    (greedy,) = translate(Table(TRAP), source, 1, length_penalty=0.0)
    assert greedy.tokens == (A,) and greedy.score == pytest.approx(math.log(0.6 * 0.5), abs=1e-5)
    (best,) = translate(Table(TRAP), source, 2, length_penalty=0.0)
    assert best.tokens == (B,) and best.score == pytest.approx(math.log(0.4 * 0.9), abs=1e-5)


def test_a_score_is_divided_by_the_length_with_the_end_to_the_penalty() -> None:
    (found,) = translate(Table(TRAP), torch.tensor([[A, EOS]]), 2, length_penalty=0.6)
    assert found.score == pytest.approx(math.log(0.36) / 2**0.6, abs=1e-5)
    longer = {(A, ()): {A: 1.0}, (A, (A,)): {EOS: 0.55, B: 0.45}, (A, (A, B)): {EOS: 1.0}}
    by_penalty = [translate(Table(longer), torch.tensor([[A, EOS]]), 2, length_penalty=p)[0].tokens for p in (0.0, 2.0)]
    assert by_penalty == [(A,), (A, B)]


def test_a_sentence_has_a_token_and_no_padding() -> None:
    chances = {(A, ()): {PAD: 0.9, EOS: 0.09, A: 0.01}, (A, (A,)): {PAD: 0.5, EOS: 0.5}}
    (found,) = translate(Table(chances), torch.tensor([[A, EOS]]), 1)
    assert found.tokens == (A,)


@pytest.mark.parametrize("max_length, positions, tokens", [(1, 50, 1), (3, 50, 3), (20, 5, 4), (4, 5, 4)])
def test_a_translation_ends_at_its_longest_or_where_positions_end(max_length, positions, tokens) -> None:
    class Endless(Table):
        def step(self, *given):
            logits, past = super().step(*given)
            logits[:, EOS] = -50.0
            return logits, past

    (found,) = translate(Endless({}, positions), torch.tensor([[A, EOS]]), 1, max_length=max_length)
    assert len(found.tokens) == tokens


def test_sentences_of_one_batch_do_not_see_each_other_and_leave_when_they_are_done() -> None:
    chances = {
        **TRAP,
        (B, ()): {B: 1.0},
        (B, (B,)): {B: 1.0},
        (B, (B, B)): {B: 1.0},
        (B, (B, B, B)): {EOS: 0.5, A: 0.5},
    }
    sources = torch.tensor([[A, EOS], [B, EOS], [A, EOS]])
    net = Table(chances)
    together = translate(net, sources, 2)
    assert together == [h for s in sources for h in translate(Table(chances), s[None], 2)]
    assert net.sentences[0] == 3 and net.sentences[-1] < 3


def everything(net: Table, first: int, longest: int) -> list[tuple[float, tuple[int, ...]]]:
    """All ended translations with their log-probabilities."""
    found = []

    def grow(tokens: tuple[int, ...], logp: float) -> None:
        (logits,), _ = net.step(
            torch.tensor([[tokens[-1] if tokens else EOS]]),
            torch.tensor([[first, EOS]]),
            [torch.tensor([[first]])],
            [
                torch.tensor([[EOS, *tokens][:-1]], dtype=torch.int64).reshape(1, -1)
                if tokens
                else torch.zeros(1, 0, dtype=torch.int64)
            ],
            1,
        )
        chances = logits.log_softmax(0).tolist()
        if tokens:
            found.append((logp + chances[EOS], tokens))
        if len(tokens) < longest:
            for token in (A, B, UNK):
                grow((*tokens, token), logp + chances[token])

    grow((), 0.0)
    return found


def test_a_wide_beam_finds_the_best_of_all_translations() -> None:
    torch.manual_seed(0)
    places = [(), *((t,) for t in (A, B, UNK)), *((s, t) for s in (A, B, UNK) for t in (A, B, UNK))]
    for _ in range(10):
        chances = {}
        for place in places:
            p = torch.rand(4).softmax(0).tolist()
            chances[A, place] = dict(zip((A, B, UNK, EOS), p, strict=True))
        best = max(lp / (len(t) + 1) ** 0.6 for lp, t in everything(Table(chances), A, 2))
        (found,) = translate(Table(chances), torch.tensor([[A, EOS]]), 30 // 2, max_length=2)
        assert found.score == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("options", [{"beam": 0}, {"max_length": 0}, {"length_penalty": math.inf}])
def test_senseless_arguments_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(MeasurementError, match="must be at least 1"):
        translate(Table({}), torch.tensor([[A, EOS]]), **options)


def test_a_sentence_that_is_too_long_and_outputs_that_are_no_numbers_are_refused() -> None:
    translate(Table({}, positions=2), torch.tensor([[A, EOS]]), 1)
    with pytest.raises(MeasurementError, match="a sentence of 3 tokens; the network has 2 positions"):
        translate(Table({}, positions=2), torch.tensor([[A, A, EOS]]), 1)
    with pytest.raises(MeasurementError, match="not finite"):
        translate(Table({(A, ()): {A: math.inf}}), torch.tensor([[A, EOS]]), 1)

"""BLEU: equal to sacrebleu's, with errors that match other ways to get them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.errors import DataError, MeasurementError
from hwsearch.supernets.families.hat import HatConfig, HatTransformer
from hwsearch.tasks.translation.bleu import Bleu, corpus_bleu
from hwsearch.tasks.translation.data import TranslationData
from hwsearch.tasks.translation.score import evaluate_translation, split_compounds
from hwsearch.tasks.translation.vocabulary import SPECIALS, Subwords, Vocabulary

sentence = st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join)


def corpus(n: int, seed: int, noise: float) -> tuple[list[str], list[str]]:
    """References of random words, and translations in which some words are others or gone."""
    rng = np.random.default_rng(seed)
    references = [[f"w{i}" for i in rng.zipf(1.5, rng.integers(3, 30)) % 50] for _ in range(n)]
    translations = [
        [w if rng.random() > noise else "x" for w in reference if rng.random() > noise / 3] for reference in references
    ]
    return [" ".join(t) for t in translations], [" ".join(r) for r in references]


def theirs(translations: list[str], references: list[str]) -> float:
    return sacrebleu.corpus_bleu(translations, [references], tokenize="none", force=True).score


# ---------------------------------------------------------------------- value
@settings(max_examples=200, deadline=None)
@given(pairs=st.lists(st.tuples(sentence, sentence), min_size=1, max_size=5))
def test_bleu_is_that_of_sacrebleu_on_small_corpora(pairs: list[tuple[str, str]]) -> None:
    """Without matches, without n-grams of some order, with empty sentences."""
    translations, references = (list(side) for side in zip(*pairs, strict=True))
    assert Bleu.of(translations, references).value == pytest.approx(
        theirs(translations, references), rel=1e-12, abs=1e-12
    )


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4, 0.8])
def test_bleu_is_that_of_sacrebleu(noise: float) -> None:
    translations, references = corpus(200, 0, noise)
    bleu = Bleu.of(translations, references)
    assert bleu.value == pytest.approx(theirs(translations, references), rel=1e-12)
    assert bleu.n == 200 and (bleu.statistics[:, :4] <= bleu.statistics[:, 4:8]).all()
    assert bleu.statistics[:, 9].tolist() == [len(r.split()) for r in references]


def test_corpora_are_scored_together_or_one_by_one() -> None:
    sums = np.stack([Bleu.of(*corpus(20, seed, 0.3)).statistics.sum(0) for seed in range(5)])
    assert corpus_bleu(sums).tolist() == [corpus_bleu(row[None])[0] for row in sums]


# ---------------------------------------------------------------------- errors
def test_the_standard_error_is_that_of_new_corpora() -> None:
    errors = [Bleu.of(*corpus(150, seed, 0.3)).standard_error for seed in range(4)]
    spread = np.std([Bleu.of(*corpus(150, seed, 0.3)).value for seed in range(10, 110)], ddof=1)
    assert np.mean(errors) == pytest.approx(spread, rel=0.25)


def test_the_standard_error_is_near_that_of_the_jackknife() -> None:
    bleu = Bleu.of(*corpus(300, 1, 0.3))
    left_out = corpus_bleu(bleu.statistics.sum(0) - bleu.statistics)
    jackknife = np.sqrt((bleu.n - 1) / bleu.n * ((left_out - left_out.mean()) ** 2).sum())
    assert bleu.standard_error == pytest.approx(jackknife, rel=0.1)
    assert bleu.standard_error == Bleu(bleu.statistics.copy()).standard_error


def test_a_difference_is_paired() -> None:
    better, references = corpus(300, 2, 0.3)
    worse = [f"{t} x x" if i % 3 == 0 else t for i, t in enumerate(better)]
    a, b = Bleu.of(better, references), Bleu.of(worse, references)
    value, error = a.difference(b)
    assert value == a.value - b.value > 0
    assert error < 0.3 * np.hypot(a.standard_error, b.standard_error)
    assert a.difference(a) == (0.0, 0.0)
    assert b.difference(a) == (-value, pytest.approx(error))
    with pytest.raises(MeasurementError, match="300 and of 20 examples cannot be paired"):
        a.difference(Bleu(b.statistics[:20]))


# ---------------------------------------------------------------------- record
def test_a_record_survives_packing() -> None:
    bleu = Bleu.of(*corpus(30, 3, 0.3))
    again = Bleu.unpack(bleu.pack(), 30)
    assert np.array_equal(again.statistics, bleu.statistics) and again.value == bleu.value
    with pytest.raises(MeasurementError, match="cannot be one of 29 sentences"):
        Bleu.unpack(bleu.pack(), 29)


def test_without_sacrebleu_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    with pytest.raises(MeasurementError, match=r"pip install \"hwsearch\[translation\]\""):
        Bleu.of(["a"], ["a"])


# ---------------------------------------------------------------------- of a network
def test_compounds_are_taken_apart() -> None:
    assert split_compounds("a well-known state-of-the-art - x") == (
        "a well ##AT##-##AT## known state ##AT##-##AT## of ##AT##-##AT## the ##AT##-##AT## art - x"
    )


@pytest.fixture(scope="module")
def data() -> TranslationData:
    vocabulary = Vocabulary((*SPECIALS, "a", "b@@", "c-d", "e"))
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(vocabulary.tokens[4:], rng.integers(1, 7))) for _ in range(24)]
    sources, targets = lines[:12], lines[12:]
    join = Subwords().join
    encode = vocabulary.encode
    return TranslationData(
        [encode(t) for t in sources], [encode(t) for t in targets], tuple(join(t) for t in targets), vocabulary
    )


def small(vocabulary: int) -> HatTransformer:
    return HatTransformer(HatConfig("s", vocabulary, (8,), 8, 3, (1,), (16,), (2,), positions=16)).eval()


def test_a_network_is_judged_on_its_translations(data: TranslationData) -> None:
    net = small(8)
    subnet = net.subnet(net.space.largest())
    bleu = evaluate_translation(subnet, data, tokens=150, max_length=6)
    assert bleu.n == 12 and not subnet.training
    assert np.array_equal(bleu.statistics, evaluate_translation(subnet, data, tokens=1, max_length=6).statistics)
    assert np.array_equal(bleu.statistics, evaluate_translation(subnet, data, max_length=6).statistics)
    expected = [len(split_compounds(r).split()) for r in data.references]
    assert bleu.statistics[:, 9].tolist() == expected


def test_batches_hold_no_more_tokens_than_allowed(data: TranslationData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences of like length together; keys and values stay those of sentences, whatever the beam."""
    net = small(8)
    subnet, seen = net.subnet(net.space.largest()), []
    step = subnet.step

    def watched(token, source, memory, past, beam):  # type: ignore[no-untyped-def]
        logits, present = step(token, source, memory, past, beam)
        kept = source.numel() + present[0].shape[0] * present[0].shape[2]
        seen.append((kept, source.shape, {len(m) for m in memory}, len(token)))
        return logits, present

    monkeypatch.setattr(subnet, "step", watched)
    evaluate_translation(subnet, data, tokens=100, beam=3, max_length=6)
    assert max(kept for kept, *_ in seen) <= 100 and max(shape[0] for _, shape, *_ in seen) > 2
    assert all(memory == {shape[0]} and rows == 3 * shape[0] for _, shape, memory, rows in seen)
    widths = [shape[1] for _, shape, *_ in seen]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) > 2


def test_a_network_that_copies_its_target_has_the_bleu_of_it(data: TranslationData) -> None:
    """A translator whose next token is the target's: all of text, order and ends must come through."""

    class Oracle(torch.nn.Module):
        vocabulary, positions = 8, 16

        def __init__(self) -> None:
            super().__init__()
            self.rows = {tuple(s.tolist()): t for s, t in zip(data.sources, data.targets, strict=True)}

        def encode(self, source: torch.Tensor) -> list[torch.Tensor]:
            return []

        def start(self, n: int) -> list[torch.Tensor]:
            return [torch.zeros(n, 0)]

        def step(self, token, source, memory, past, beam):  # type: ignore[no-untyped-def]
            done = past[0].shape[1]
            logits = torch.full((len(token), 8), -9.0)
            for i, row in enumerate(source.repeat_interleave(beam, 0).tolist()):
                target = self.rows[tuple(t for t in row if t != 1)]
                logits[i, int(target[min(done, len(target) - 1)])] = 9.0
            return logits, [torch.cat([past[0], token], 1)]

    bleu = evaluate_translation(Oracle(), data, tokens=250, max_length=10)  # type: ignore[arg-type]
    assert bleu.value == pytest.approx(100.0) and bleu.difference(bleu) == (0.0, 0.0)


def test_data_of_another_dictionary_is_refused(data: TranslationData) -> None:
    net = small(9)
    with pytest.raises(DataError, match="has 8 tokens, but the network's embedding has 9"):
        evaluate_translation(net.subnet(net.space.largest()), data)

"""Bands whose probability shifts, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsearch.training.parts.feedback import Seen
from hwsearch.training.strategies.bands import BandShift, ShiftSampler


def test_probability_shifts_to_the_band_whose_loss_still_falls(start) -> None:
    """Losses 2 → 2 and 2 → 1: the running means are 2 and 1.5, so the progress is 0 and 1/4."""
    case = start(BandShift(bands=2, pace=0.5, floor=0.2, temperature=0.25))
    sampler: ShiftSampler = case.recipe.sampler
    assert sampler.probabilities.tolist() == [0.5, 0.5]

    def probed(*losses: float) -> list[Seen]:
        archs = sampler.probes()
        return [Seen(a, v, np.arange(1), probe=True) for a, v in zip(archs, np.repeat(losses, 2), strict=True)]

    sampler.update(probed(2.0, 2.0))
    assert sampler.probabilities.tolist() == [0.5, 0.5]
    sampler.update(probed(2.0, 1.0))
    share = math.e / (1 + math.e)
    goal = 0.8 * share + 0.2 / 2
    assert sampler.probabilities == pytest.approx([1 - (0.25 + goal / 2), 0.25 + goal / 2])
    again: ShiftSampler = start(BandShift(bands=2)).recipe.sampler
    again.load_state_dict(sampler.state_dict())
    assert again.probabilities.tolist() == sampler.probabilities.tolist()


def test_probes_leave_the_network_as_it_was(start, stepped) -> None:
    case = start(BandShift(bands=2, every=5))
    before = {k: v.clone() for k, v in case.net.named_buffers()}
    case.recipe.sampler.update([])
    assert not any(s.probe for s in stepped(case, 51).seen)
    found = [s for s in stepped(case, 50).seen if s.probe]
    assert len(found) == 4 and all(math.isfinite(s.loss) for s in found)
    assert before.keys() == dict(case.net.named_buffers()).keys()

"""AGE-MOEA's survival on fronts by hand."""

from __future__ import annotations

import numpy as np

from hwsearch.searchers.evolutionary.agemoea import geometric_survivors


def test_age_moea_keeps_the_ends_of_the_front_and_whole_better_fronts() -> None:
    angle = np.linspace(0, np.pi / 2, 30)
    front = 1 - np.stack([np.cos(angle), np.sin(angle)], axis=1)
    behind = front + 0.5
    kept = geometric_survivors(np.concatenate([front, behind]), 10)
    assert len(set(kept.tolist())) == 10 and max(kept) < 30
    assert {0, 29} <= set(kept.tolist())
    gaps = np.diff(np.sort(kept))
    assert gaps.max() <= 9  # spread, not clustered: 29 steps over 9 gaps
    more = geometric_survivors(np.concatenate([front, behind]), 40)
    assert set(range(30)) <= set(more.tolist()) and len(set(more.tolist())) == 40

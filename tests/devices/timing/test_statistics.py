from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hwsearch.devices.timing.statistics import median_polish, pooled_variance, student


def test_median_polish_finds_effects_and_level():
    rng = np.random.default_rng(0)
    effect, level = rng.normal(0, 1, 12), 0.3 * np.sin(np.arange(600) / 40)
    who = np.concatenate([rng.permutation(12) for _ in range(50)])
    found, moments = median_polish(effect[who] + level + rng.normal(0, 0.02, 600), who, 12, 15)
    assert np.abs((found - found.mean()) - (effect - effect.mean())).max() < 0.02
    assert np.corrcoef(moments, level)[0, 1] > 0.99


@pytest.mark.parametrize(("prior", "scale"), [(6.0, 0.5), (20.0, 2.0)])
def test_the_pool_knows_how_alike_variances_are(prior, scale):
    """Variances drawn as the model of Smyth (2004) says give its parameters back."""
    rng = np.random.default_rng(1)
    true = scale * prior / rng.chisquare(prior, 20_000)
    pooled, worth = pooled_variance(true * rng.chisquare(3, 20_000) / 3, np.full(20_000, 3.0))
    assert pooled == pytest.approx(scale, rel=0.03) and worth == pytest.approx(prior, rel=0.2)
    alike = pooled_variance(0.5 * rng.chisquare(3, 20_000) / 3, np.full(20_000, 3.0))
    assert alike[0] == pytest.approx(0.5, rel=0.03) and alike[1] > 100
    assert pooled_variance(np.array([]), np.array([])) == (0.0, 0.0)


def test_student_is_scipys():
    assert student(0.95, 7) == pytest.approx(stats.t.ppf(0.975, 7))
    assert student(0.9, math.inf) == pytest.approx(stats.norm.ppf(0.95))


@pytest.mark.parametrize("window", [1, 2, 3, 7, 8, 50])
def test_the_level_is_the_median_of_mirrored_neighbours(window):
    """Against the definition: neighbours beyond an end are those as far on its other side."""
    rng = np.random.default_rng(0)
    for m in (1, 2, 3, 5, 12):
        y = rng.normal(size=m)
        _, level = median_polish(y, np.zeros(m, dtype=np.int64), 1, window, rounds=1)
        left, half = y - np.median(y), min(window // 2, m - 1)
        mirrored = lambda i, m=m: abs(i) if i < m else 2 * (m - 1) - i  # noqa: E731
        wanted = [np.median([left[mirrored(i + k)] for k in range(-half, half + 1)]) for i in range(m)]
        assert np.array_equal(level, wanted if half else np.full(m, np.median(left)))

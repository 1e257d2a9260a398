"""Hypotheses about a new device: evidence and predictions against the multivariate t distribution of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from predictors.hypotheses import LEVEL, SPREAD_ROWS, Hypotheses, Hypothesis, general
from predictors.posterior import JITTER

RNG = np.random.default_rng(3)
SPREAD = 0.2


def kernels(rows: int) -> np.ndarray:
    roots = RNG.standard_normal((3, rows, 4)) / 2
    return roots @ roots.transpose(0, 2, 1)


@pytest.fixture
def two() -> Hypotheses:
    one = Hypothesis("one", np.array([0.7, 0.3, 0.0]), 0.01, 0.7)
    other = Hypothesis("other", np.array([0.0, 0.2, 0.8]), 0.05, 0.0)
    return Hypotheses([one, other], SPREAD)


def test_evidence_is_a_multivariate_t_density(two: Hypotheses) -> None:
    stack, t, known = kernels(6), RNG.standard_normal(6) / 3, np.array([0.0, 0.01, 0.02, 0.0, 0.0, 0.03])
    found = two.fit(stack, t, known)
    wanted = []
    for h in two.each:
        shape = np.tensordot(h.weights, stack, 1) + LEVEL + np.diag(h.noise + known / SPREAD + JITTER)
        wanted.append(stats.multivariate_t(np.zeros(6), SPREAD * shape, df=SPREAD_ROWS).logpdf(t))
    assert found.log_evidence[1] - found.log_evidence[0] == pytest.approx(wanted[1] - wanted[0])
    odds = np.exp(wanted[1] - wanted[0])
    assert found.weights == pytest.approx([1 / (1 + odds), odds / (1 + odds)])


def test_predictions_are_those_of_the_conditional_t_distribution(two: Hypotheses) -> None:
    """Of the joint distribution of measured and new values, given the measured ones (Roth 2012, eq. 6.3)."""
    whole, t = kernels(8), RNG.standard_normal(6) / 3
    stack, cross = whole[:, :6, :6], whole[:, 6:, :6]
    own = np.array([np.diag(k)[6:] for k in whole])
    found = two.fit(stack, t, np.zeros(6))
    means, variances = two.predict(found, cross, own)
    for k, h in enumerate(two.each):
        full = np.tensordot(h.weights, whole, 1) + LEVEL
        seen = full[:6, :6] + (h.noise + JITTER) * np.eye(6)
        inverse = np.linalg.inv(seen)
        assert means[k] == pytest.approx(full[6:, :6] @ inverse @ t)
        scale = (SPREAD_ROWS * SPREAD + t @ inverse @ t) / (SPREAD_ROWS + 6)
        left = np.diag(full[6:, 6:] - full[6:, :6] @ inverse @ full[:6, 6:])
        assert variances[k] == pytest.approx(scale * left, rel=1e-6)
    assert found.freedom == SPREAD_ROWS + 6


def test_joint_covariance_averages_hypotheses_by_their_evidence(two: Hypotheses) -> None:
    whole, t = kernels(8), RNG.standard_normal(5) / 3
    at = [0, 1, 2, 3, 4]
    found = two.fit(whole[:, :5, :5], t, np.zeros(5))
    joint = two.joint(found, whole, whole[:, :, at])
    wanted = np.zeros((8, 8))
    for share, scale, h in zip(found.weights, found.scale, two.each, strict=True):
        full = np.tensordot(h.weights, whole, 1) + LEVEL
        seen = full[:5, :5] + (h.noise + JITTER) * np.eye(5)
        wanted += share * scale * (full - full[:, at] @ np.linalg.solve(seen, full[at]))
    assert joint == pytest.approx(wanted, abs=1e-6)
    before = two.joint(None, whole, None)
    assert before == pytest.approx(SPREAD * (np.tensordot([0.35, 0.25, 0.4], whole, 1) + LEVEL))


def test_general_hypotheses_share_the_variance_between_sources_and_the_rest() -> None:
    names = ["values", "fact", "source", "fact curved", "source curved"]
    groups = {"all parts": ["values", "fact", "fact curved"], "facts": ["fact", "fact curved"]}
    found = general(names, groups, ["source", "source curved"])
    assert len(found) == 4 * 2 * 2
    for h in found:
        assert h.weights.sum() == pytest.approx(1) and h.weights[[2, 4]].sum() == pytest.approx(h.sources)
    assert len(general(names[:2], {"all parts": names[:2]}, [])) == 2  # two noises, no sources

"""Latencies from a device's measured operator table: as a function that a training asks in every step, and as the first guess of a predictor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.purpose import PROFILE, SEARCH
from hwsearch.campaigns.target import Target
from hwsearch.devices.timing.operator_profile import PROTOCOL
from hwsearch.devices.timing.operator_sums import agreement, sums
from hwsearch.errors import DeviceError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from predictors import CrossValidatedPredictor, PredictorError
from predictors.operators import SUM, OperatorPredictor

#: a table of fewer summed architectures is not learnt from
LEAST = 20


@dataclass(frozen=True)
class OperatorCost:
    """Milliseconds by an operator table.

    The operators of each profiled architecture are added up and brought to the latency of whole networks by the line that
    was fitted on measured ones. A predictor learns these sums, so that architectures that nobody has run have one, too.

    Attributes
    ----------
    net : Supernet
        Of whose architectures it tells.
    model : CrossValidatedPredictor
        Predicts the logarithm of the sum.
    offset_ms, slope : float
        Latency ≈ offset + slope × sum; 0 and 1 where too few networks were measured.
    summed, wholes : int
        Architectures whose operators were added up, and of these the ones with measured latencies.
    error_pct : float
        Mean absolute error of the predictor against held-out sums, in %.
    """

    net: Supernet
    model: CrossValidatedPredictor
    offset_ms: float
    slope: float
    summed: int
    wholes: int
    error_pct: float

    def __call__(self, rows: IntArray) -> FloatArray:
        """Predict latencies.

        Parameters
        ----------
        rows : IntArray
            Architectures, shape ``(n, genes)``.

        Returns
        -------
        FloatArray
            Milliseconds, shape ``(n,)``.
        """
        found = np.exp(self.model.predict(self.net.features_array(rows)[0]))
        return np.asarray(self.offset_ms + self.slope * found)


def operator_times(campaign: Campaign, target: Target) -> tuple[list[Architecture], dict[str, FloatArray]]:
    """Add up the operators of the architectures whose operators were counted on a device.

    Parameters
    ----------
    campaign : Campaign
        In whose store the table is.
    target : Target
        The device.

    Returns
    -------
    archs : list of Architecture
        Those of whose operators each one is in the table.
    times : dict of str to FloatArray
        Milliseconds (archs,) by kind of operator; empty without a table.
    """
    common: dict[str, Any] = {"subject": target.fingerprint, "protocol": PROTOCOL, "purpose": str(PROFILE)}
    table = [m for m in campaign.store.find(metric="operator_ms", **common) if m.value]
    rows = campaign.store.find(metric="kernels", supernet=campaign.loaded.digest, **common)
    counts = {m.arch_id: dict(m.details["signatures"]) for m in rows}
    archs = [a for a in campaign.store.architectures(campaign.space) if a.id in counts]
    whole = sums({m.arch_id: float(m.value or 0.0) for m in table}, [counts[a.id] for a in archs])
    archs = [a for a, ms in zip(archs, whole, strict=True) if ms > 0]
    kinds: dict[str, dict[str, float]] = {}
    for m in table:
        kind = str(m.details.get("signature", {}).get("kind", "other"))
        kinds.setdefault(kind, {})[m.arch_id] = float(m.value or 0.0)
    found = {
        kind: np.array([sum(ms.get(s, 0.0) * times for s, times in counts[a.id].items()) for a in archs])
        for kind, ms in sorted(kinds.items())
    }
    return archs, found if archs else {}


def fit_with_operators(
    campaign: Campaign,
    target: Target,
    measured: tuple[FloatArray, FloatArray, FloatArray],
    without: CrossValidatedPredictor,
) -> tuple[OperatorPredictor | None, str]:
    """Fit latencies of a device with the sums of its operators as the first guess, where that predicts no worse.

    Parameters
    ----------
    campaign : Campaign
        In whose store the device's operator table may be.
    target : Target
        The device.
    measured : (X, y, noise)
        Features (n, columns), latencies in ms (n,), and their standard deviations (n,).
    without : CrossValidatedPredictor
        Fitted on the same without operators.

    Returns
    -------
    predictor : OperatorPredictor or None
        None where there is no table of `LEAST` architectures, or its left-out error is larger than that of `without`.
    said : str
        What was trusted and why, in a sentence without a full stop; empty where there is no such table.
    """
    archs, times = operator_times(campaign, target)
    if len(archs) < LEAST:
        return None, ""
    X, y, noise = measured
    net, seed = campaign.loaded.net, campaign.config.search.seed
    found = OperatorPredictor(net.schema(), net.features(archs)[0], times, noise="scaled", seed=seed)
    try:
        found.fit(X, y, noise)
    except PredictorError as error:
        return None, f"operators are not used: {error.message}"
    left, own = (np.abs(p / y - 1.0) for p in (found.left_out(without.group_), without.oof_predictions_))
    errors = f"left-out error {100 * left.mean():.1f} % with operators, {100 * own.mean():.1f} % without"
    if not left.mean() <= own.mean():
        return None, f"operators do not help and are not used: {errors}"
    share = 100 * found.operators_[SUM]
    return found, f"sums of the operators of {len(archs)} subnets explain {share:.0f} %; {errors}"


def operator_cost(campaign: Campaign, target: Target) -> OperatorCost:
    """Learn the latencies of a space from the operator table of a device.

    Parameters
    ----------
    campaign : Campaign
        In whose store the table is.
    target : Target
        The device.

    Returns
    -------
    OperatorCost
        Milliseconds of any architecture.

    Raises
    ------
    DeviceError
        If the device has no operator table, or one of few architectures only.
    """
    archs, times = operator_times(campaign, target)
    total = np.sum(list(times.values()), axis=0) if times else np.empty(0)
    if len(archs) < LEAST:
        have = f"operators of {len(archs)} architectures only" if archs else "no operator table"
        raise DeviceError(
            f"device {target.name!r} has {have} in campaign {str(campaign.folder)!r}.",
            hint=f"Measure it by 'hwsearch operators {campaign.folder} --device {target.name}'.",
        )
    latency = find_latency(campaign, target, SEARCH)
    whole = np.array([float(latency[a.id].value or np.nan) if a.id in latency else np.nan for a in archs])
    measured = np.isfinite(whole)
    told = agreement(total[measured], whole[measured], campaign.rng("operator correction"))
    X = campaign.loaded.net.features(archs)[0]
    model = CrossValidatedPredictor(seed=campaign.config.search.seed, schema=campaign.loaded.net.schema())
    model.fit(X, np.log(total))
    error = float(100 * np.abs(np.expm1(model.oof_predictions_ - np.log(total))).mean())
    fitted = bool(told["fitted"]) and told["slope"] > 0
    return OperatorCost(
        campaign.loaded.net,
        model,
        told["offset_ms"] if fitted else 0.0,
        told["slope"] if fitted else 1.0,
        len(archs),
        int(measured.sum()),
        error,
    )

"""Ensemble: choose measured subnets whose mean answer is better than the best one's in the same time, and write them as one file."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwsearch._json import JsonObject
from hwsearch.accuracy import Z95
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.ensembles.fusion import FUSIONS, Fusion, answers_of, shares_of
from hwsearch.campaigns.ensembles.latency import Interval, max_interval, sum_interval
from hwsearch.campaigns.ensembles.selection import Choice, Pool, spread_pool
from hwsearch.campaigns.ensembles.timing import check_measurable, time_models
from hwsearch.campaigns.ensembles.writing import EnsembleFile, ensemble_file, write_ensemble
from hwsearch.campaigns.jobs.workloads import ready_subnet, workload
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import largest_values
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.score_table import numbers
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.fronts import device_final_set, find_arch
from hwsearch.campaigns.target import Target
from hwsearch.campaigns.views import device_view
from hwsearch.devices import Model, Workload
from hwsearch.errors import CampaignError, LimitError, nearest
from hwsearch.exporters import serialise
from hwsearch.objectives.front import Front
from hwsearch.objectives.limit import Limit
from hwsearch.spaces import Architecture
from hwsearch.store import utc_now
from hwsearch.tasks.classification import Accuracy

#: most measured subnets that are chosen from, and most members of an ensemble
MOST_POOL, MOST_MEMBERS = 60, 16


@dataclass(frozen=True)
class _Candidates:
    """Subnets that are chosen from."""

    archs: list[Architecture]
    intervals: list[Interval]
    limit: Limit


def build_ensemble(
    campaign: Campaign,
    limits: Sequence[str],
    device: str | None = None,
    *,
    arch: Sequence[str] = (),
    fusion: str = "probabilities",
    members: int = 4,
    parallel: bool = False,
    measure: bool = False,
    output: Path | None = None,
) -> JsonObject:
    """Choose an ensemble on the validation data, tell its gain on the test data, and write it as one ONNX file.

    The members are subnets that `validate` has measured on the device. They are scored anew, since the store keeps which
    answers were right and not the answers.

    Parameters
    ----------
    campaign : Campaign
        Whose candidates have been validated.
    limits : sequence of str
        One upper limit on the latency, such as ``latency_ms<=2`` or ``latency_ms<=60 %``.
    device : str, optional
        The device; the only one by default.
    arch : sequence of str
        Choose from these subnets only: ids, ``smallest`` or ``largest``.
    fusion : {"probabilities", "logits"}
        What is averaged.
    members : int
        Most members.
    parallel : bool
        Members run at the same time, each on processors of its own: the slowest counts, else the sum.
    measure : bool
        Time the file on the device, beside the best single member.
    output : pathlib.Path, optional
        The ONNX file; ``models/ensembles/ID.onnx`` of the campaign by default.

    Returns
    -------
    dict
        ``rows``, the table; ``gain`` of the ensemble on the test data with its 95 % interval and ``verdict``; ``members``;
        ``disagreement``; ``measured``; ``path`` (None where no ensemble is better on the validation data).

    Raises
    ------
    CampaignError
        If nothing has been validated, a subnet was measured on another device only, the task has no classes, or an option is
        not valid.
    LimitError
        If the limit is not one on the latency, or no subnet meets it.
    DeviceError
        If `measure` is asked for on a device that runs no model files.
    ExportError
        If the members cannot be lowered to one file, or it differs from their mean.
    """
    kind = _check(campaign, fusion, members, parallel=parallel, measure=measure)
    target = campaign.target(device)
    if measure:
        check_measurable(target)
    known = Known.read(campaign)
    found = _candidates(campaign, known, target, limits, arch)
    answers = {split: _Answers(campaign, split) for split in (Split.VALIDATION, Split.TEST)}
    latency = np.array([i.value for i in found.intervals])
    with campaign.progress.task("ensemble", len(found.archs), "subnets") as task:
        logits = []
        for done, one in enumerate(found.archs, 1):
            logits.append(shares_of(answers[Split.VALIDATION].of(one), kind))
            task.update(done)
        pool = Pool(logits, answers[Split.VALIDATION].targets, latency, found.limit.value, parallel=parallel)
        single, chosen = pool.best_single(), pool.greedy(members)
        task.note("one member" if chosen is None or len(chosen.members) < 2 else f"{len(chosen.members)} members")
    if single is None or chosen is None:
        raise LimitError(
            f"no measured subnet of {target.name!r} has latency_ms {found.limit}.",
            hint=f"The fastest has {latency.min():.4g} ms.",
        )
    n = len(answers[Split.VALIDATION].targets)
    scores = {c: _test_score(c, found.archs, answers[Split.TEST], kind) for c in (single, chosen)}
    gain, error = scores[chosen].difference(scores[single]) if chosen.members != single.members else (0.0, 0.0)
    confidence = campaign.final_protocol.confidence
    rows = []
    for name, choice in (("best single member", single), ("ensemble", chosen)):
        parts = [found.intervals[i] for i in choice.members]
        whole = max_interval(parts, confidence) if parallel else sum_interval(parts)
        test = scores[choice]
        rows.append(
            {
                "what": name,
                "members": len(choice.members),
                "validation": 100 * choice.correct / n,
                "accuracy": test.value,
                "accuracy_low": test.value - Z95 * test.standard_error,
                "accuracy_high": test.value + Z95 * test.standard_error,
                "latency_ms": whole.value,
                "latency_low": whole.low,
                "latency_high": whole.high,
            }
        )
    result: JsonObject = {
        "device": target.name,
        "limit": f"latency_ms {found.limit}",
        "fusion": kind,
        "parallel": parallel,
        "score": campaign.loaded.task.score_name,
        "score_unit": campaign.loaded.task.score_unit,
        "difference_unit": campaign.loaded.task.difference_unit,
        "confidence": confidence,
        "chosen_from": len(found.archs),
        "validation_examples": n,
        "test_examples": scores[single].n,
        "rows": rows,
        "gain": gain,
        "gain_low": gain - Z95 * error,
        "gain_high": gain + Z95 * error,
        "verdict": verdict(len(chosen.members), gain, error),
        "members": [
            {"arch_id": found.archs[i].id, "genes": found.archs[i].to_dict(), **asdict(found.intervals[i])}
            for i in chosen.members
        ],
        "single": found.archs[single.members[0]].id,
        "disagreement": disagreement([answers[Split.TEST].of(found.archs[i]).argmax(1) for i in chosen.members]),
        "measured": None,
        "path": None,
    }
    if len(chosen.members) < 2:
        return result
    archs = [found.archs[i] for i in chosen.members]
    file = ensemble_file(campaign, archs, kind)
    if measure:
        alone = found.archs[single.members[0]]
        expected_ms = pool.together(chosen.members)
        result["measured"] = _measured(campaign, target, file, alone, found.limit.value, expected_ms)
    path = output or campaign.folder / "models" / "ensembles" / f"{file.name}.onnx"
    card = write_ensemble(campaign, target, file, result, path)
    return result | {"path": str(path), "bytes": card["bytes"], "difference_from_torch": file.difference}


def verdict(members: int, gain: float, error: float) -> str:
    """Say in words what an ensemble gains on the test data.

    Parameters
    ----------
    members : int
        How many it has.
    gain, error : float
        Gain over the best single member, and its standard error.

    Returns
    -------
    str
        ``gain``, ``loss``, or that there is none that the examples show.
    """
    if members < 2:
        return "no gain: no ensemble within the limit is better than the best single member on the validation data"
    if gain - Z95 * error > 0:
        return "gain"
    return "loss" if gain + Z95 * error < 0 else "no gain that these test examples show"


def disagreement(answers: Sequence[NDArray[np.int64]]) -> float | None:
    """Compute how often two members answer differently, on average over pairs.

    Parameters
    ----------
    answers : sequence of ndarray
        Classes that each member answers, shape ``(n,)``.

    Returns
    -------
    float or None
        Share of examples; None of fewer than two members.
    """
    shares = [float((a != b).mean()) for a, b in itertools.combinations(answers, 2)]
    return float(np.mean(shares)) if shares else None


class _Answers:
    """Logits of subnets on one split, each computed once."""

    def __init__(self, campaign: Campaign, split: Split) -> None:
        self.campaign, self.split = campaign, split
        self._logits: dict[str, NDArray[np.float32]] = {}
        self._targets: NDArray[np.int64] | None = None

    def of(self, arch: Architecture) -> NDArray[np.float32]:
        """Logits of a subnet, shape ``(n, classes)``."""
        if arch.id not in self._logits:
            net, size = ready_subnet(self.campaign, arch), self.campaign.loaded.net.input_size(arch)
            data, batch = self.campaign.data[self.split], self.campaign.config.data.batch
            self._logits[arch.id], self._targets = answers_of(net, data, size, batch)
        return self._logits[arch.id]

    @property
    def targets(self) -> NDArray[np.int64]:
        """Right classes, once a subnet has answered."""
        assert self._targets is not None
        return self._targets


def _check(campaign: Campaign, fusion: str, members: int, *, parallel: bool, measure: bool) -> Fusion:
    if fusion not in FUSIONS:
        raise CampaignError(f"unknown fusion {fusion!r}.", hint=nearest(fusion, FUSIONS))
    if isinstance(members, bool) or not isinstance(members, int) or not 2 <= members <= MOST_MEMBERS:
        raise CampaignError(f"members {members!r} is not valid: give a whole number from 2 to {MOST_MEMBERS}.")
    if parallel and measure:
        raise CampaignError(
            "one file runs its members one after the other: what they take in parallel cannot be measured with it.",
            hint="Leave measure or parallel out.",
        )
    task = campaign.loaded.task
    if not task.counts_correct:
        raise CampaignError(
            f"task {task.name!r} has no classes whose probabilities could be averaged.",
            hint="Ensembles are of classifiers.",
        )
    return FUSIONS[FUSIONS.index(fusion)]  # type: ignore[arg-type]


def _candidates(
    campaign: Campaign, known: Known, target: Target, limits: Sequence[str], wanted: Sequence[str]
) -> _Candidates:
    """Measured subnets of one device, and the limit."""
    view = device_view(campaign, target)
    measured = device_final_set(campaign, known, target)
    if len(limits) != 1:
        raise LimitError(f"{len(limits)} limits are given.", hint="Give one, such as 'latency_ms<=2'.")
    column, limit = Front(measured.frame, view.front_objectives).resolve_limit(
        limits[0], largest_values(campaign, view.measured(known))
    )
    if column != "latency_ms" or limit.op != "<=":
        raise LimitError(f"{limits[0]!r} is no upper limit on the latency.", hint="Give one, such as 'latency_ms<=2'.")
    if wanted:
        ids = list(dict.fromkeys(find_arch(campaign, name).id for name in wanted))
        for lacking in (i for i in ids if i not in measured.ids):
            others = [name for name in campaign.targets if lacking in known.latency(name, VALIDATE)]
            where = f", but on {', '.join(map(repr, others))}: latencies of two devices do not add up" if others else ""
            raise CampaignError(
                f"subnet {lacking} has no final measurements on {target.name!r}{where}.",
                hint="Name members that 'hwsearch validate' has measured there.",
            )
        measured = measured.where(measured.frame["arch_id"].isin(ids).to_numpy())
    else:
        scores = numbers(known.accuracy(Split.VALIDATION), "value", measured.ids)
        kept = spread_pool(measured.values("latency_ms"), scores, MOST_POOL)
        mask = np.zeros(len(measured), dtype=bool)
        mask[kept] = True
        measured = measured.where(mask)
    keys = ("latency_ms", "latency_ms_low", "latency_ms_high", "latency_ms_ratio_low", "latency_ms_ratio_high")
    table = np.array([pd.to_numeric(measured.frame[k], errors="coerce") for k in keys], dtype=np.float64).T
    return _Candidates(measured.archs, [Interval(*map(float, row)) for row in table], limit)


def _test_score(choice: Choice, archs: list[Architecture], answers: _Answers, kind: Fusion) -> Accuracy:
    shares = [shares_of(answers.of(archs[i]), kind) for i in choice.members]
    total = sum(shares[1:], shares[0])
    return Accuracy(total.argmax(1) == answers.targets)


def _measured(
    campaign: Campaign, target: Target, file: EnsembleFile, single: Architecture, limit: float, expected_ms: float
) -> JsonObject:
    """Time the file beside the best single member."""
    models = (Model(tuple(file.part.inputs), serialise(file.model)),)
    found = time_models(
        campaign,
        target,
        {"ensemble": Workload(models), "single": workload(campaign, target, single, calibrated=True)},
    )
    one, other = found["ensemble"], found["single"]
    return {
        "latency_ms": one.value,
        "low": one.low,
        "high": one.high,
        "single_latency_ms": other.value,
        "single_low": other.low,
        "single_high": other.high,
        "over_sum": one.value / expected_ms,
        "meets_limit": bool(one.value <= limit),
        "measured_at": utc_now(),
    }

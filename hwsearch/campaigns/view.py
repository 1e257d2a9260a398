"""What a front is of: one device, or all devices of a campaign that one subnet is to serve."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.frames import WEIGHTED, WORST, largest_values, measured_frame, shares
from hwsearch.campaigns.intervals import own_error
from hwsearch.campaigns.known import find_latency, find_metric
from hwsearch.campaigns.target import Target
from hwsearch.errors import CampaignError
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.names import DEVICE_METRICS, metric_name
from hwsearch.objectives.objective import Objective

#: the name of the view of one subnet for all devices
ALL = "all devices"


@dataclass(frozen=True)
class View:
    """One front of a campaign: its name, its devices, its objectives as configured.

    A view of one device has that device's name and objectives. That of all devices has, in place of their latencies, a
    share (`shares`): of each device's limit, or else of the largest subnet's latency there. It is at most 1 where some
    device has a limit; a device without one then bounds it by the largest subnet.
    """

    campaign: Campaign
    name: str
    targets: tuple[Target, ...]
    objectives: tuple[Objective, ...]
    form: str = "each"

    @property
    def joint(self) -> bool:
        return self.form != "each"

    @property
    def key(self) -> str:
        """What tells it from the campaign's other views."""
        return f"{self.name}, {self.form}" if self.joint else self.name

    @property
    def front_objectives(self) -> list[Objective]:
        """What its front is of: the objectives without the bound of the worst device that a weighted mean needs."""
        return [o for o in self.objectives if not (o.name == WORST and self._has(WEIGHTED))]

    def _has(self, name: str) -> bool:
        return any(o.name == name for o in self.objectives)

    @property
    def reference(self) -> dict[str, float]:
        """What the configuration aspires to, as far as it is about this view's objectives: by their names."""
        given = self.campaign.config.search.reference or {}
        found: dict[str, float] = {}
        for name, value in given.items():
            metric, at, device = name.partition("@")
            wanted = metric_name(metric) + at + device
            found |= {o.name: value for o in self.front_objectives if wanted in (o.name, o.metric)}
        return found

    def frame(self, purpose: str = "search") -> pd.DataFrame:
        """`measured_frame` of its device; of all devices with ``latency_ms@DEVICE`` and both shares."""
        frames = [measured_frame(self.campaign, t, purpose=purpose) for t in self.targets]
        return frames[0] if not self.joint else self.join(frames)

    def join(self, frames: list[pd.DataFrame]) -> pd.DataFrame:
        """One frame of those of its devices: what is a device's has its name behind an @."""
        joined = frames[0].drop(columns=[c for c in frames[0].columns if _of_device(c)])
        for target, frame in zip(self.targets, frames, strict=True):
            own = [c for c in frame.columns if _of_device(c) and "@" not in c]
            part = frame[["arch_id", *own]].rename(columns={c: f"{c}@{target.name}" for c in own})
            joined = joined.merge(part, on="arch_id", how="outer")
        for column in [c for c in joined.columns if c != "arch_id" and "@" not in c]:
            known = pd.concat([f[["arch_id", column]] for f in frames if column in f.columns])
            known = known.dropna().drop_duplicates("arch_id")
            joined[column] = joined["arch_id"].map(dict(zip(known["arch_id"], known[column], strict=True)))
        latency = joined[[f"latency_ms@{t.name}" for t in self.targets]].to_numpy(dtype=np.float64)
        for name, values in self.shares(latency).items():
            joined[name] = values
        joined.attrs = frames[0].attrs
        return joined

    def shares(self, latency: FloatArray) -> dict[str, FloatArray]:
        """See `shares`, of latencies (..., devices) in milliseconds."""
        return shares(latency, self.scales(), self._weights())

    def _weights(self) -> FloatArray:
        return np.array([d.weight for t in self.targets for d in self.campaign.config.device if d.name == t.name])

    def scales(self) -> FloatArray:
        """(devices,) milliseconds that count as 1: the limit, or else the largest subnet's latency in the search."""
        found = []
        for target in self.targets:
            largest = find_latency(self.campaign, target, "search").get(self.campaign.space.largest().id)
            limit = latency_limit(self.campaign, target)
            value = largest.value if largest is not None else None
            if limit is not None and (value is not None or not limit.relative):
                value = limit.resolve(value).value
            if value is None:
                raise CampaignError(
                    f"the largest subnet has not been measured on {target.name!r}, by whose latency others are judged.",
                    hint="Run 'hwsearch profile' first.",
                )
            found.append(float(value))
        return np.array(found)

    def resolved(self, frame: pd.DataFrame | None = None) -> list[Objective]:
        """The objectives with limits as numbers; frame : of the search, where it is at hand."""
        if not any(o.limit is not None and o.limit.relative for o in self.objectives):
            return list(self.objectives)
        largest = largest_values(self.campaign, self.frame() if frame is None else frame)
        return [
            replace(o, limit=o.limit.resolve(largest.get(o.name))) if o.limit is not None else o
            for o in self.objectives
        ]

    # ------------------------------------------------------------------ how well it is known
    def noise(self, frame: pd.DataFrame) -> FloatArray:
        """Standard deviations (subnets, objectives) of the values of a `frame` of the search; NaN where they are not known.

        What is measured on a device has that of its interval. Scores are of the same examples for all subnets, so that their
        intervals say little of how two of them compare: theirs are left to whoever sees many.
        """
        out = np.full((len(frame), len(self.objectives)), np.nan)
        for j, o in enumerate(self.objectives):
            if o.name in (WORST, WEIGHTED):
                out[:, j] = self._share_noise(frame, o.name)
            elif o.metric in DEVICE_METRICS:
                out[:, j] = self._device_noise(frame, self.targets[0], o.metric)
        return out

    def _device_noise(self, frame: pd.DataFrame, target: Target, metric: str) -> FloatArray:
        """Standard deviations (subnets,) of one metric on one device, in its unit."""
        confidence = self.campaign.protocol.confidence
        found = find_metric(self.campaign, target, metric, "search")
        out = np.full(len(frame), np.nan)
        for i, arch_id in enumerate(frame["arch_id"]):
            m = found.get(arch_id)
            if m is not None and m.value and m.low and m.high:
                out[i] = m.value * own_error(m.low, m.high, confidence)
        return out

    def _share_noise(self, frame: pd.DataFrame, name: str) -> FloatArray:
        """That of the shares: of the device that is the worst, or of the weighted mean of independent latencies."""
        scales = self.scales()
        error = np.stack([self._device_noise(frame, t, "latency_ms") for t in self.targets], axis=1) / scales
        if name == WORST:
            latency = frame[[f"latency_ms@{t.name}" for t in self.targets]].to_numpy(dtype=np.float64)
            worst = np.argmax(np.nan_to_num(latency / scales), axis=1)
            return np.asarray(error[np.arange(len(error)), worst])
        weight = self._weights()
        return np.asarray(np.sqrt(error**2 @ (weight / weight.sum()) ** 2))

    # ------------------------------------------------------------------ what might as well have been measured
    def draws(self, frame: pd.DataFrame, size: int, rng: np.random.Generator) -> FloatArray:
        """Costs (size, subnets, objectives of the front) that the true values might have, given what was measured.

        frame : of final measurements, with ``METRIC_low`` and ``_high``. What is measured on a device is drawn
        independently, log-normal, with its own error (half of the variance that its interval has); the rest stays.
        """

        def drawn(metric: str, at: str = "") -> FloatArray:
            value = frame[f"{metric}{at}"].to_numpy(dtype=np.float64)
            ends = [frame.get(f"{metric}_{end}{at}") for end in ("low", "high")]
            if any(e is None for e in ends):
                return np.broadcast_to(value, (size, len(value)))
            confidence = self.campaign.final_protocol.confidence
            error = np.array(
                [
                    own_error(low, high, confidence) if low and high and low > 0 else 0.0
                    for low, high in zip(*ends, strict=True)
                ]
            )
            return np.asarray(value * np.exp(error * rng.standard_normal((size, len(value)))))

        columns = []
        latency = (
            self.shares(np.stack([drawn("latency_ms", f"@{t.name}") for t in self.targets], axis=-1))
            if self.joint
            else {}
        )
        for o in self.front_objectives:
            if o.name in latency:
                values = latency[o.name]
            elif o.metric in DEVICE_METRICS:
                values = drawn(o.metric)
            else:
                values = np.broadcast_to(frame[o.metric].to_numpy(dtype=np.float64), (size, len(frame)))
            columns.append(values * o.sign)
        return np.stack(columns, axis=-1)


def _of_device(column: str) -> bool:
    return any(column == m or column.startswith((f"{m}_", f"{m}@")) for m in DEVICE_METRICS)


def latency_limit(campaign: Campaign, target: Target) -> Limit | None:
    """The upper limit on a device's latency, as configured."""
    limits = [o.limit for o in campaign.objectives(target.name) if o.metric == "latency_ms" and o.limit is not None]
    return next((limit for limit in limits if limit.op == "<="), None)


def device_view(campaign: Campaign, target: Target) -> View:
    """The view of one device."""
    return View(campaign, target.name, (target,), tuple(campaign.objectives(target.name)))


def timed(campaign: Campaign) -> list[Target]:
    """The devices whose latency is an objective."""
    return [t for t in campaign.targets.values() if any(o.metric == "latency_ms" for o in campaign.objectives(t.name))]


def joint_view(campaign: Campaign, form: str) -> View:
    """The view of one subnet for all devices with a latency objective; form : ``worst`` or ``weighted``."""
    targets = timed(campaign)
    if not targets:
        raise CampaignError(
            "no device has latency as an objective, so no subnet can be chosen to serve them.",
            hint='Add [[objective]] metric = "latency".',
        )
    chances: list[float] = []
    limited = False
    shared: dict[str, Objective] = {}
    for target in targets:
        for o in campaign.objectives(target.name):
            if o.metric == "latency_ms":
                if latency_limit(campaign, target) is not None:
                    limited = True
                    chances += [o.probability] if o.probability is not None else []
                shared.setdefault("latency_ms", o)
            elif o.metric not in DEVICE_METRICS:
                shared.setdefault(o.name, o)
    limit = Limit("<=", 1.0) if limited else None
    worst = Objective(WORST, "min", None, limit, max(chances) if chances else None)
    scalar = [worst] if form == "worst" else [Objective(WEIGHTED, "min"), *([worst] if limited else [])]
    objectives = [j for o in shared.values() for j in (scalar if o.metric == "latency_ms" else [o])]
    return View(campaign, ALL, tuple(targets), tuple(objectives), form)


def views(campaign: Campaign) -> list[View]:
    """The fronts that a campaign searches: one a device, or that of one subnet for all of them."""
    form = campaign.config.search.serve
    if form != "each":
        return [joint_view(campaign, form)]
    return [device_view(campaign, t) for t in campaign.targets.values()]

"""Divide a budget of minutes over the steps of a campaign, and divide what is left again as its pace is known better."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from hwsearch._json import JsonObject
from hwsearch.campaigns.budget.cost import STEPS, Estimate, left
from hwsearch.campaigns.budget.pace import contention
from hwsearch.campaigns.budget.reduction import LEVERS, Reduced, fitting, reduced
from hwsearch.campaigns.budget.settings import PLAN, Settings, get_setting, planned_settings
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.workloads import ready_subnet
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.candidates import candidates
from hwsearch.campaigns.views import views
from hwsearch.errors import HwsearchError

#: steps before which what is left is divided
POINTS = ("profile", "evaluate", "search", "validate")
#: share of the budget that a plan leaves for what it does not foresee
RESERVE = 0.05
#: examples that the first look scores
LOOK_AT = 200
#: keys that only the time of groups depends on; they are no measurement less
TIMES = ("protocol.budget_s", "validate.budget_s")
#: what a lowered setting is called
NAMES = {
    "validate.rounds": "further final rounds",
    "validate.processes": "final processes",
    "data.validation_images": "validation {examples}",
    "data.test_images": "test {examples}",
    "profile.latency": "profiled subnets",
    "profile.accuracy": "evaluated ones of them",
    "profile.random": "random ones of them",
    "search.rounds": "search rounds",
    "validate.candidates": "candidates a front",
}


class Budget:
    """A campaign's budget: what was spent of it, and the plan of the rest.

    A plan is made before each of `POINTS` and kept in the store, so that a run that was stopped goes on with the same settings.

    Parameters
    ----------
    campaign : Campaign
        Whose budget; without ``[budget] minutes`` nothing is done.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.minutes = campaign.asked.budget.minutes
        self._document: JsonObject = {}
        self._waited_before = 0.0
        if self.minutes is None:
            return
        stamp, kept = _stamp(campaign), campaign.store.get_state(PLAN)
        lost = round(sum(campaign.store.lost_seconds().values()), 1)  # of runs that were killed
        if kept and kept.get("stamp") == stamp:
            self._document = kept | {
                "spent_s": kept["spent_s"] + max(0.0, lost - kept.get("lost_s", 0.0)),
                "lost_s": lost,
            }
        else:
            self._document = {"stamp": stamp, "spent_s": 0.0, "lost_s": lost, "points": []}
        if self._document != kept:
            self._keep()

    def before(self, step: str) -> None:
        """Plan the steps from this one on, if it is one of `POINTS` and has not been planned.

        Parameters
        ----------
        step : str
            The step about to begin.
        """
        self._waited_before = self.campaign.waited_s
        points = self._document.get("points", [])
        if self.minutes is None or step not in POINTS or step in [p["step"] for p in points]:
            return
        with self.campaign.progress.task("plan", 1, "plan") as task:
            started = time.monotonic()
            if not points:
                _look(self.campaign)
            point = self._plan(step, planned_settings(self._document))
            points.append(point)
            self._document["spent_s"] += time.monotonic() - started
            self._keep()
            self.campaign.plan_anew()
            task.update(1)
            task.note(self._words(point))
        if point["left_s"] > point["budget_s"] * (1 + RESERVE):
            self.campaign.progress.warn(
                f"the least that this campaign can measure takes about {math.ceil(point['left_s'] / 60)} minutes more; "
                f"of its budget of {self.minutes:g} minutes {max(0.0, point['budget_s']) / 60:.1f} are left."
            )

    def after(self, step: str, seconds: float) -> None:
        """Count what a step took.

        Parameters
        ----------
        step : str
            The step.
        seconds : float
            From its begin to its end; what it waited for others is taken off.
        """
        if self.minutes is None:
            return
        waited = self.campaign.waited_s - self._waited_before
        self._document["spent_s"] += max(0.0, seconds - waited)
        self._document.setdefault("took", {})[step] = round(seconds, 1)
        if step == "export":
            self.campaign.pace.note("export", max(1, len(views(self.campaign)) * 3), seconds)
        self._keep()

    def _plan(self, step: str, kept: Settings) -> JsonObject:
        campaign, asked = self.campaign, self.campaign.asked
        assert self.minutes is not None
        estimate = Estimate(
            asked,
            campaign.pace,
            fronts=len(views(campaign)),
            calibrated=Split.CALIBRATION in campaign.data,
            slower=contention(),
        )

        counted = _candidates(campaign) if step == "validate" else None

        def found(amount: float) -> tuple[Reduced, dict[str, float]]:
            less = reduced(asked, kept, amount, step)
            count = None if counted is None else counted(less.config.validate_.candidates)
            return less, replace(estimate, config=less.config, candidates=count, visits=less.visits).steps()

        have = (1 - RESERVE) * 60 * self.minutes - self._document["spent_s"]
        amount = fitting(lambda a: left(found(a)[1], step), have)
        less, steps = found(amount)
        settings: JsonObject = dict(less.settings)
        if less.visits < 1:
            settings |= _group_times(estimate, less)
        return {
            "step": step,
            "amount": round(amount, 4),
            "budget_s": round(have, 1),
            "left_s": round(left(steps, step), 1),
            "steps": {s: round(steps[s], 1) for s in STEPS[STEPS.index(step) :]},
            "settings": settings,
        }

    def _words(self, point: JsonObject) -> str:
        spent = self._document["spent_s"]
        parts = ", ".join(f"{name} {_minutes(seconds)}" for name, seconds in point["steps"].items())
        return f"about {_minutes(spent + point['left_s'])} of {_minutes(60 * float(self.minutes or 0))} min: {parts}"

    def _keep(self) -> None:
        self.campaign.store.put_state(PLAN, self._document)


@contextmanager
def budgeted(campaign: Campaign, step: str) -> Iterator[None]:
    """Plan what a step of a run may measure within the campaign's budget, and count what it takes.

    Parameters
    ----------
    campaign : Campaign
        Which may have a budget.
    step : str
        The step's name.

    Yields
    ------
    None
        When the settings of the plan hold.
    """
    budget = Budget(campaign)
    budget.before(step)
    started = time.monotonic()
    try:
        yield
    finally:
        with suppress(HwsearchError):
            budget.after(step, time.monotonic() - started)


def budget_words(campaign: Campaign) -> str | None:
    """Say what a campaign measured less than its configuration asks for, to keep to its budget.

    Parameters
    ----------
    campaign : Campaign
        Which may have a budget.

    Returns
    -------
    str or None
        A sentence; None where all was measured that was asked for.
    """
    asked, used = campaign.asked, campaign.config
    examples = campaign.loaded.task.examples
    less = [
        f"{_number(get_setting(used, lever.key))} instead of {_number(get_setting(asked, lever.key))} "
        f"{NAMES[lever.key].format(examples=examples)}"
        for lever in LEVERS
        if get_setting(used, lever.key) != get_setting(asked, lever.key)
    ]
    if used.protocol.budget_s != asked.protocol.budget_s or used.validate_.budget_s != asked.validate_.budget_s:
        less.append("less time for each latency")
    if not less:
        return None
    return (
        f"To keep to its budget of {asked.budget.minutes:g} minutes the campaign measured less than its configuration asks for: "
        f"{', '.join(less)}. Intervals are as much wider."
    )


def _look(campaign: Campaign) -> None:
    """Score one subnet on a few examples, to see how fast that goes."""
    net = ready_subnet(campaign, campaign.reference)
    size, data = campaign.loaded.net.input_size(campaign.reference), campaign.data[Split.VALIDATION].head(LOOK_AT)
    started = time.monotonic()
    campaign.loaded.task.evaluate(net, data, size, batch=campaign.config.data.batch)
    campaign.pace.note("evaluate", len(data), time.monotonic() - started)


def _candidates(campaign: Campaign) -> Callable[[int], int]:
    """Return what counts the subnets that the next step validates, by how many a front may have."""
    known = Known.read(campaign, final=False)
    found = [candidates(view, known) for view in views(campaign)]
    return lambda most: len({a for one in found for a in one.first(most)})


def _group_times(estimate: Estimate, less: Reduced) -> Settings:
    """Return the seconds of a group that leave each subnet its share of the full time."""
    devices = estimate.config.device
    each = sum(estimate.pace.seconds(f"time {d.name}", default=1.0) for d in devices) / len(devices)
    found: Settings = {}
    for key, size in zip(TIMES, (less.config.protocol.group, less.config.validate_.candidates), strict=True):
        seconds = min(size, less.config.protocol.group) * each * less.visits
        if seconds < float(get_setting(less.config, key)):  # type: ignore[arg-type]
            found[key] = round(max(seconds, 1.0), 1)
    return found


def _stamp(campaign: Campaign) -> str:
    """Return a digest of what a plan depends on and the user may change."""
    asked = campaign.asked
    parts = [asked.budget.minutes, [d.name for d in asked.device], [str(get_setting(asked, v.key)) for v in LEVERS]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _minutes(seconds: float) -> str:
    return f"{int(seconds + 0.5) // 60}:{int(seconds + 0.5) % 60:02d}"


def _number(value: object) -> str:
    if isinstance(value, tuple):
        low, high = value
        return f"{low}" if low == high else f"{low} to {high}"
    return f"{value:,}"

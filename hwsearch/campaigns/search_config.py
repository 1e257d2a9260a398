"""Configuration of profile, search and validation: the tables ``[profile]``, ``[search]`` and ``[validate]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hwsearch.devices.timing.protocol import ProcessRange

#: a predictor is not fitted on fewer measurements
FEWEST = 8
#: more subnets than anybody measures before a search, and more examples than a data set has
MOST, MOST_IMAGES = 100_000, 10_000_000
#: how one subnet's latencies on several devices are judged: not at all, by the worst share, by the weighted mean
Deployment = Literal["per-device", "worst-case", "weighted"]
#: the column of a deployment
SHARES = {"worst-case": "latency_share_worst", "weighted": "latency_share_weighted"}


class ConfigPart(BaseModel):
    """One table of a configuration: unknown keys are errors, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ProfileConfig(ConfigPart):
    """Profile of the space, measured before the search (``[profile]``).

    Attributes
    ----------
    latency : int
        Subnets timed on each device, spread evenly over MACs.
    accuracy : int
        How many of them are also evaluated.
    random : int
        How many of the evaluated ones are drawn at random (the baseline in the plots).
    """

    latency: int = Field(120, ge=FEWEST, le=MOST)
    accuracy: int = Field(48, ge=FEWEST, le=MOST)
    random: int = Field(20, ge=0, le=MOST)

    @model_validator(mode="after")
    def _nested(self) -> ProfileConfig:
        if self.accuracy > self.latency:
            raise ValueError("accuracy must not exceed latency: evaluated subnets are timed as well")
        if self.random > self.accuracy - 2:
            raise ValueError("random must leave two of the evaluated subnets for the smallest and the largest")
        return self


class SearchConfig(ConfigPart):
    """The search: rounds of proposals that are measured and told back (``[search]``).

    Attributes
    ----------
    tactic : str
        A search tactic by name.
    rounds : int
        At most that many rounds.
    per_round : int
        Subnets proposed and measured a round, for all fronts together.
    inner_evaluations : int
        Predictions a tactic may make to find a round's proposals.
    seed : int
        Of all randomness of the campaign.
    stop_gain : float
        The search ends before its rounds when a round's proposals are expected to add less than this share to the
        hypervolume of every device's measured front; 0: never.
    prefer : {"front", "knee", "reference"}
        Which part of the front counts: all of it, that around its knee, or what is better than `reference`.
    reference : dict of str to float, optional
        Values to be reached, by metric (``latency_ms@NAME`` for one device); the region better than them counts.
    deployment : {"per-device", "worst-case", "weighted"}
        What a subnet is for: each device has a front of its own; or one subnet serves all of them, judged by its latency on
        the worst device or by the weighted mean, each as a share of that device's limit, or else of the largest subnet's
        latency there.
    warm_start : list of str
        Folders of campaigns, of this supernet or another, on any device: what they measured is predicted for this
        campaign's subnets, and the tactic finds out how much it tells. And files: cards of subnets of this search space
        (``NAME.json``), as `hwsearch.prune` and `hwsearch.export` write them, which are measured with the profile.
    screening_factor : int
        Multi-fidelity screening: propose ``screening_factor × per_round`` candidates, measure them on the cheap
        `screening_metrics`, and complete the ``per_round`` that then promise most. 1: no screening. Not every tactic can.
    screening_metrics : list of {"latency", "accuracy"}
        What is cheap: all that is measured on devices, accuracy, or both.
    screening_images : int
        Accuracy on the first so many validation examples; those who are chosen see the others then. 0: on all.
    fidelities : list of int
        Fidelity-aware acquisition: numbers of first validation examples, ascending, on which a subnet may be scored before it
        is on all; 0: its latencies alone. A round spends the seconds of ``per_round`` complete evaluations on what is expected
        to improve the front most a second, recalibration included. Empty: all are evaluated completely. Not every tactic can.
    """

    tactic: str = "default"
    rounds: int = Field(3, ge=0, le=10_000)
    per_round: int = Field(8, ge=1, le=10_000)
    inner_evaluations: int = Field(40000, ge=100, le=100_000_000)
    seed: int = Field(0, ge=0, lt=2**32)
    stop_gain: float = Field(0.002, ge=0, lt=1)
    prefer: Literal["front", "knee", "reference"] = "front"
    reference: dict[str, float] | None = None
    deployment: Deployment = "per-device"
    warm_start: list[str] = []
    screening_factor: int = Field(1, ge=1, le=100)
    screening_metrics: list[Literal["latency", "accuracy"]] = ["latency"]
    screening_images: int = Field(0, ge=0, le=MOST_IMAGES)
    fidelities: list[Annotated[int, Field(ge=0, le=MOST_IMAGES)]] = []

    @property
    def earlier_campaigns(self) -> list[str]:
        """Of `warm_start`, the folders."""
        return [place for place in self.warm_start if not place.endswith(".json")]

    @property
    def starting_subnets(self) -> list[str]:
        """Of `warm_start`, the cards."""
        return [place for place in self.warm_start if place.endswith(".json")]

    @model_validator(mode="after")
    def _screening(self) -> SearchConfig:
        if not self.screening_metrics:
            raise ValueError(
                "screening_metrics is empty: name latency, accuracy or both, or write screening_factor = 1"
            )
        if self.screening_images and "accuracy" not in self.screening_metrics:
            raise ValueError(
                f"screening_images = {self.screening_images} is given, but screening_metrics does not name accuracy"
            )
        if self.screening_factor > 1 and not self.screening_images and len(set(self.screening_metrics)) == 2:
            raise ValueError("screening_metrics names all there is to measure: leave one out, or give screening_images")
        return self

    @model_validator(mode="after")
    def _fidelities(self) -> SearchConfig:
        if self.fidelities != sorted(set(self.fidelities)):
            raise ValueError(f"fidelities = {self.fidelities} must ascend, each once")
        if self.fidelities and self.screening_factor > 1:
            raise ValueError("fidelities and screening_factor both say what is measured first: leave one out")
        return self

    @model_validator(mode="after")
    def _preference(self) -> SearchConfig:
        if (self.prefer == "reference") != bool(self.reference):
            raise ValueError(
                "prefer = 'reference' needs reference = { METRIC = VALUE, ... }"
                if self.prefer == "reference"
                else f"reference is given, but prefer = {self.prefer!r}: write prefer = 'reference'"
            )
        return self


class ValidateConfig(ConfigPart):
    """The final round: each candidate for a front measured afresh (``[validate]``).

    Attributes
    ----------
    candidates : int
        At most that many a front, but all that are not dominated.
    race_error : float, optional
        None: all candidates are evaluated on all test images. A probability: candidates race on them, and one that is
        dominated on every device is dropped before it has seen all; the front is another than without the race with at
        most this probability, given the latencies as measured.
    race_tolerance : float
        Points of top-1 by which a dropped candidate may be above the front.
    processes : tuple of int
        Fewest and most measuring processes of a subnet. They are spread over the step, between the evaluations and the
        other devices, because a host's speed is much the same in two that follow each other.
    half_width : float
        Relative half width that an interval of a latency should reach.
    budget_s : float
        Seconds that one measuring process may take for a group.
    rounds : int
        At most so many further rounds, in which what may or may not be on a front is measured again.
    per_round : int, optional
        At most so many subnets a front in a further round: those whose repetition is expected to change the front most. None:
        all that are in doubt.
    membership : float
        Probability with which it must be known of each candidate whether it is on the front, given the scores on the test
        data; 0.5 asks for nothing.
    rounds_s : float
        No further round begins after they have taken this long, seconds.
    """

    candidates: int = Field(24, ge=2, le=10_000)
    race_error: float | None = Field(None, gt=0, lt=0.5)
    race_tolerance: float = Field(0.0, ge=0, le=10)
    processes: ProcessRange = (4, 8)
    half_width: float = Field(0.0075, gt=0, lt=1)
    budget_s: float = Field(120.0, gt=0, le=86_400)
    rounds: int = Field(2, ge=0, le=1000)
    per_round: int | None = Field(None, ge=1, le=10_000)
    membership: float = Field(0.95, ge=0.5, lt=1)
    rounds_s: float = Field(600.0, ge=0, le=10_000_000)


class BudgetConfig(ConfigPart):
    """The time of a whole run (``[budget]``); see docs/how-to/budget.md.

    Attributes
    ----------
    minutes : float, optional
        For all steps of ``hwsearch run`` together, 1 at least. Where the configuration asks for more than fits, less is
        measured: fewer repeats, then fewer examples, then fewer subnets. None: as configured, however long it takes.
    """

    minutes: float | None = Field(None, ge=1, le=1_000_000)

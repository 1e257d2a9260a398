"""The campaign's configuration: one TOML file, every key checked, errors that name file and line."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from hwsearch.errors import LimitError, nearest
from hwsearch.objectives.limit import parse_limit
from hwsearch.objectives.names import DEVICE_METRICS, known_metrics, metric_name
from hwsearch.objectives.objective import Objective

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SupernetConfig(_Part):
    """Which supernet, and the user's weight file where none is shipped.

    sort : the weights are of one plain network, not trained for sharing: channels, heads and units are put in order of
        importance before subnets are cut. A trained supernet's are in their order already
    """

    name: str = "cifar10-mbv3"
    checkpoint: str | None = None
    sort: bool = False


class DataConfig(_Part):
    """Labelled examples. Empty paths mean those the supernet ships.

    calibration, validation, test : images: a parquet file (``file.parquet`` or ``file.parquet:split``) or a folder of
        class folders; text: a GLUE table (``dev.tsv``); translation: the common prefix of two files (``newstest2014:en-de``)
    vocabulary : of text, where it does not lie beside the data
    *_images : use at most that many examples
    """

    calibration: str | None = None
    validation: str | None = None
    test: str | None = None
    vocabulary: str | None = None
    calibration_images: int = Field(1000, ge=2)
    validation_images: int = Field(2000, ge=10)
    test_images: int = Field(3000, ge=10)
    batch: int = Field(250, ge=1)


class DeviceConfig(_Part):
    """One target device; all of it is part of its fingerprint except name and weight.

    weight : how much its latency counts when one subnet is to serve all devices (``[search] serve = "weighted"``)
    """

    name: str = Field(pattern=NAME)
    weight: float = Field(1.0, gt=0, allow_inf_nan=False)
    runtime: str = "onnxruntime"
    provider: str = "CPUExecutionProvider"
    threads: int = Field(1, ge=1, le=1024)
    batch: int = Field(1, ge=1, le=4096)
    precision: str = "fp32"
    options: dict[str, bool | int | float | str] = {}


class ObjectiveConfig(_Part):
    """A metric to optimise. One that is measured on devices and names none stands for every device of the campaign.

    probability : the limit must be met with at least this probability, not only by the measured value
    """

    metric: str
    direction: Literal["min", "max"] | None = None
    device: str | None = None
    limit: str | None = None
    probability: float | None = Field(None, gt=0.5, lt=1)

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        name = metric_name(value)
        if name not in known_metrics():
            raise ValueError(f"unknown metric. {nearest(name, known_metrics())}")
        return name

    @model_validator(mode="after")
    def _limit(self) -> ObjectiveConfig:
        try:
            self.to_objective()
        except LimitError as error:
            raise ValueError(str(error)) from None
        return self

    def to_objective(self) -> Objective:
        limit = parse_limit(self.limit, self.metric)[1] if self.limit else None
        return Objective(self.metric, self.direction or "", self.device, limit, self.probability)


def _fewest_most(value: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= value[0] <= value[1]:
        raise ValueError("must be two numbers, at least 1, the first not larger than the second")
    return value


Processes = Annotated[tuple[int, int], AfterValidator(_fewest_most)]


class ProtocolConfig(_Part):
    """How long and how exactly to measure; see docs/concepts/timing.md."""

    processes: Processes = (2, 4)
    loads: int = Field(2, ge=1)
    visits: int = Field(6, ge=1)
    block_runs: int = Field(3, ge=1)
    block_ms: float = Field(2.0, gt=0)
    half_width: float = Field(0.01, gt=0, lt=1)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    warmup_ms: float = Field(20.0, gt=0)
    moved: float = Field(0.1, gt=0)
    group: int = Field(40, ge=1)
    budget_s: float = Field(120.0, gt=0)
    calibrate: int = Field(8, ge=1)


class ProfileConfig(_Part):
    """What is measured before the search.

    latency : subnets timed on each device, spread evenly over MACs
    accuracy : how many of them are also evaluated
    random : of those evaluated, how many are drawn at random (the baseline in the plots)
    """

    latency: int = Field(120, ge=4)
    accuracy: int = Field(48, ge=4)
    random: int = Field(20, ge=0)

    @model_validator(mode="after")
    def _nested(self) -> ProfileConfig:
        if self.accuracy > self.latency:
            raise ValueError("accuracy must not exceed latency: evaluated subnets are timed as well")
        if self.random > self.accuracy - 2:
            raise ValueError("random must leave two of the evaluated subnets for the smallest and the largest")
        return self


class SearchConfig(_Part):
    """The search: rounds of proposals that are measured and told back.

    stop_gain : the search ends before its rounds when a round's proposals are expected to add less than this share to the
        hypervolume of every device's measured front; 0: never
    prefer : which part of the front counts: all of it, that around its knee, or what is better than `reference`
    reference : values to be reached, by metric (``latency_ms@NAME`` for one device); the region better than them counts
    serve : what a subnet is for: ``each`` device has a front of its own; or one subnet for all of them, judged by its
        latency on the ``worst`` device or by the ``weighted`` mean, each as a share of that device's limit, or else of the
        largest subnet's latency there
    earlier : folders of campaigns, of this supernet or another, on any device: what they measured is predicted for this
        campaign's subnets, and the tactic finds out how much it tells
    screen : so many times `per_round` candidates are proposed and measured on what `screen_with` names; the `per_round`
        that then promise most are measured on the rest, too. 1: no screening. Not every tactic can
    screen_with : what is cheap: ``latency`` (all that is measured on devices), ``accuracy``, or both
    screen_images : accuracy on the first so many validation examples; those who are chosen see the others then. 0: on all
    """

    tactic: str = "default"
    rounds: int = Field(3, ge=0)
    per_round: int = Field(8, ge=1)
    inner_evaluations: int = Field(40000, ge=100)
    seed: int = 0
    stop_gain: float = Field(0.002, ge=0, lt=1)
    prefer: Literal["front", "knee", "reference"] = "front"
    reference: dict[str, float] | None = None
    serve: Literal["each", "worst", "weighted"] = "each"
    earlier: list[str] = []
    screen: int = Field(1, ge=1, le=100)
    screen_with: list[Literal["latency", "accuracy"]] = ["latency"]
    screen_images: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _screening(self) -> SearchConfig:
        if not self.screen_with:
            raise ValueError("screen_with is empty: name latency, accuracy or both, or write screen = 1")
        if self.screen_images and "accuracy" not in self.screen_with:
            raise ValueError(f"screen_images = {self.screen_images} is given, but screen_with does not name accuracy")
        if self.screen > 1 and not self.screen_images and len(set(self.screen_with)) == 2:
            raise ValueError("screen_with names all there is to measure: leave one out, or give screen_images")
        return self

    @model_validator(mode="after")
    def _preference(self) -> SearchConfig:
        if (self.prefer == "reference") != bool(self.reference):
            raise ValueError(
                "prefer = 'reference' needs reference = { METRIC = VALUE, ... }"
                if self.prefer == "reference"
                else f"reference is given, but prefer = {self.prefer!r}: write prefer = 'reference'"
            )
        for name, value in (self.reference or {}).items():
            if not math.isfinite(value):
                raise ValueError(f"reference {name} = {value} is not a finite number")
        return self


class ValidateConfig(_Part):
    """The final round: each candidate for a front measured afresh.

    race_error : None: all candidates are evaluated on all test images. A probability: candidates race on them, and one
        that is dominated on every device is dropped before it has seen all; the front is another than without the race
        with at most this probability, given the latencies as measured
    race_tolerance : points of top-1 by which a dropped candidate may be above the front
    rounds : at most so many further rounds, in which what may or may not be on a front is measured again
    membership : probability with which it must be known of each candidate whether it is on the front, given the scores
        on the test data; 0.5 asks for nothing
    rounds_s : no further round begins after they have taken this long, seconds
    """

    candidates: int = Field(24, ge=2)
    race_error: float | None = Field(None, gt=0, lt=0.5)
    race_tolerance: float = Field(0.0, ge=0, le=10)
    processes: Processes = (4, 8)
    half_width: float = Field(0.0075, gt=0, lt=1)
    budget_s: float = Field(120.0, gt=0)
    rounds: int = Field(2, ge=0)
    membership: float = Field(0.95, ge=0.5, lt=1)
    rounds_s: float = Field(600.0, ge=0)


class FleetConfig(_Part):
    """Who measures; see docs/how-to/fleet.md.

    isolation : each job in a fresh process, which may crash or hang without harm
    deadline_s : a job takes at most this long, all its measuring processes together; None: what the protocol's budget
        allows for each of them, and as much again
    lease_s : a worker of another host that is not heard of for this long has lost its job
    scheduler : address of a Dask scheduler, ``tls://HOST:8786``
    certificates : folder that ``hwsearch cluster certs`` made
    remote : devices that are measured by the scheduler's workers, by name
    insecure : allow ``tcp://`` addresses of this host
    """

    isolation: bool = True
    deadline_s: float | None = Field(None, gt=0)
    lease_s: float = Field(60.0, ge=1)
    scheduler: str | None = None
    certificates: str | None = None
    remote: tuple[str, ...] = ()
    insecure: bool = False

    @model_validator(mode="after")
    def _reachable(self) -> FleetConfig:
        if self.remote and self.scheduler is None:
            raise ValueError("remote devices need a scheduler")
        return self


class CampaignConfig(_Part):
    """Everything a campaign is: one supernet, its data, devices and objectives, and how to search."""

    folder: str | None = None
    supernet: SupernetConfig = SupernetConfig()
    data: DataConfig = DataConfig()
    device: tuple[DeviceConfig, ...] = ()
    objective: tuple[ObjectiveConfig, ...] = (
        ObjectiveConfig(metric="accuracy"),
        ObjectiveConfig(metric="latency_ms"),
    )
    protocol: ProtocolConfig = ProtocolConfig()
    profile: ProfileConfig = ProfileConfig()
    search: SearchConfig = SearchConfig()
    validate_: ValidateConfig = Field(ValidateConfig(), alias="validate")
    fleet: FleetConfig = FleetConfig()
    store: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> CampaignConfig:
        if not self.device:
            raise ValueError("at least one [[device]] is needed")
        names = [d.name for d in self.device]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two devices are named {name!r}")
        for o in self.objective:
            if o.device is not None and o.device not in names:
                raise ValueError(f"objective {o.metric!r} names device {o.device!r}. {nearest(o.device, names)}")
        for name in self.fleet.remote:
            if name not in names:
                raise ValueError(f"fleet.remote names device {name!r}. {nearest(name, names)}")
        if len(self.objective) < 2:
            raise ValueError("at least two [[objective]] entries are needed")
        for name in names:
            self._once_each(name)
            self._served(name)
        self._reference_known(names)
        return self

    def _once_each(self, device: str) -> None:
        """Each metric is one objective of a device, with one limit."""
        found: dict[str, Objective] = {}
        for o in self.objectives_for(device):
            other = found.setdefault(o.metric, o)
            if other is o:
                continue
            if o.limit and other.limit and o.limit.excludes(other.limit):
                raise ValueError(
                    f"the limits {o.metric} {other.limit} and {o.metric} {o.limit} on {device!r} exclude each other"
                )
            raise ValueError(
                f"objective {o.metric!r} is given twice for device {device!r}: write one [[objective]] with one limit"
            )

    def _served(self, device: str) -> None:
        """One subnet for all devices is judged by its latencies alone, besides what is no matter of a device."""
        if self.search.serve == "each":
            return
        for o in self.objectives_for(device):
            if o.metric in DEVICE_METRICS and (
                o.metric != "latency_ms" or (o.limit is not None and o.limit.op == ">=")
            ):
                what = f"objective {o.metric!r}" if o.metric != "latency_ms" else f"the limit latency_ms {o.limit}"
                raise ValueError(f"search.serve = {self.search.serve!r} weighs latencies and cannot take {what}")

    def _reference_known(self, devices: list[str]) -> None:
        served = self.search.serve != "each"
        known = {f"latency_share_{self.search.serve}"} if served else set()
        for o in (o for d in devices for o in self.objectives_for(d)):
            if not (served and o.metric in DEVICE_METRICS):
                known |= {o.metric, o.name}
        for name in self.search.reference or {}:
            metric, at, device = name.partition("@")
            if metric_name(metric) + at + device not in known:
                raise ValueError(f"search.reference names {name!r}, which is no objective. {nearest(name, known)}")

    def objectives_for(self, device: str) -> list[Objective]:
        """The objectives that hold on one device; what is measured there without naming a device is that device's."""
        found = []
        for o in self.objective:
            if o.device not in (None, device):
                continue
            objective = o.to_objective()
            if objective.metric in DEVICE_METRICS:
                objective = replace(objective, device=device)
            found.append(objective)
        return found

"""The configuration of a campaign: supernet, data, devices, objectives, and how to search and validate."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field, field_validator, model_validator

from hwsearch.campaigns.certified_config import CertifiedConfig
from hwsearch.campaigns.search_config import (
    MOST_IMAGES,
    SHARES,
    BudgetConfig,
    ConfigPart,
    ProfileConfig,
    SearchConfig,
    ValidateConfig,
)
from hwsearch.campaigns.task_config import TaskConfig
from hwsearch.devices.device import Device
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.errors import LimitError, nearest
from hwsearch.objectives.limit import parse_limit
from hwsearch.objectives.names import DEVICE_METRICS, known_metrics, metric_name
from hwsearch.objectives.objective import Objective

#: names of devices
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class SupernetConfig(ConfigPart):
    """Which supernet, and the user's weight file where none is shipped (``[supernet]``).

    Attributes
    ----------
    name : str
        Of the catalogue, or ``FILE.py:FUNCTION``.
    checkpoint : str, optional
        A weight file; by default the shipped weights.
    sort : bool
        The weights are of one plain network, not trained for sharing: channels, heads and units are put in order of
        importance before subnets are cut. Those of a trained supernet are in their order already.
    """

    name: str = "cifar10-mbv3"
    checkpoint: str | None = None
    sort: bool = False


class DataConfig(ConfigPart):
    """Labelled examples (``[data]``). Without a path those that the supernet ships are used.

    Attributes
    ----------
    calibration, validation, test : str, optional
        Images: a parquet file (``file.parquet`` or ``file.parquet:split``) or a folder of class folders; text: a GLUE table
        (``dev.tsv``); translation: the common prefix of two files (``newstest2014:en-de``); skeleton sequences: a folder of
        ``.skeleton`` files or ``file.npz``, both perhaps with ``:split``, or ``synthetic-skeletons:test``.
    vocabulary : str, optional
        Of text, where it does not lie beside the data.
    calibration_images, validation_images, test_images : int
        Use at most that many examples.
    batch : int
        Examples a forward pass.
    """

    calibration: str | None = None
    validation: str | None = None
    test: str | None = None
    vocabulary: str | None = None
    calibration_images: int = Field(1000, ge=2, le=MOST_IMAGES)
    validation_images: int = Field(2000, ge=10, le=MOST_IMAGES)
    test_images: int = Field(3000, ge=10, le=MOST_IMAGES)
    batch: int = Field(250, ge=1, le=100_000)


class DeviceConfig(ConfigPart):
    """One target device (``[[device]]``); all of it is part of its fingerprint except name and weight.

    Attributes
    ----------
    name : str
        Letters, digits, dots, dashes and underscores.
    weight : float
        How much its latency counts when one subnet is to serve all devices (``[search] deployment = "weighted"``).
    runtime : str
        A runtime plug-in, such as ``onnxruntime``, ``torch-cpu``, ``cuda``, ``command`` or ``simulated``.
    provider : str
        Execution provider of ONNX Runtime.
    threads : int
        Threads of one inference.
    batch : int
        Examples an inference.
    precision : str
        Number format of weights and activations.
    options : dict
        Further settings of the runtime.
    """

    name: str = Field(pattern=NAME, max_length=100)
    weight: float = Field(1.0, gt=0, le=1e9)
    runtime: str = "onnxruntime"
    provider: str = "CPUExecutionProvider"
    threads: int = Field(1, ge=1, le=1024)
    batch: int = Field(1, ge=1, le=4096)
    precision: str = "fp32"
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)

    def to_device(self) -> Device:
        """Return the device that this describes.

        Returns
        -------
        Device
            Without the weight, which is no matter of the device.
        """
        return Device(**self.model_dump(exclude={"weight"}))


class ObjectiveConfig(ConfigPart):
    """A metric to optimise (``[[objective]]``).

    Attributes
    ----------
    metric : str
        Such as ``accuracy``, ``verified_accuracy``, ``latency_ms``, ``energy_mj``, ``macs`` or ``params``.
    direction : {"min", "max"}, optional
        By default the metric's own.
    device : str, optional
        Where it is measured; an objective of devices that names none stands for every device of the campaign.
    limit : str, optional
        Such as ``<= 2 ms`` or ``<= 60 %`` (of the largest subnet's value).
    probability : float, optional
        The limit must be met with at least this probability, not only by the measured value.
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
        """Return the objective that this describes.

        Returns
        -------
        Objective
            With its limit parsed.

        Raises
        ------
        LimitError
            If the limit is malformed.
        """
        limit = parse_limit(self.limit, self.metric)[1] if self.limit else None
        return Objective(self.metric, self.direction or "", self.device, limit, self.probability)


class FleetConfig(ConfigPart):
    """Who measures (``[fleet]``); see docs/how-to/fleet.md.

    Attributes
    ----------
    isolation : bool
        Each job in a fresh process, which may crash or hang without harm.
    deadline_s : float, optional
        A job takes at most this long, all its measuring processes together; None: what the protocol's budget allows for
        each of them, and as much again.
    lease_s : float
        A worker of another host that is not heard of for this long has lost its job.
    scheduler : str, optional
        Address of a Dask scheduler, ``tls://HOST:8786``.
    certificates : str, optional
        Folder that ``hwsearch cluster certs`` made.
    remote : tuple of str
        Devices that are measured by the scheduler's workers, by name.
    insecure : bool
        Allow ``tcp://`` addresses of this host.
    """

    isolation: bool = True
    deadline_s: float | None = Field(None, gt=0, le=10_000_000)
    lease_s: float = Field(60.0, ge=1, le=1_000_000)
    scheduler: str | None = None
    certificates: str | None = None
    remote: tuple[str, ...] = ()
    insecure: bool = False

    @model_validator(mode="after")
    def _reachable(self) -> FleetConfig:
        if self.remote and self.scheduler is None:
            raise ValueError(
                f"fleet.remote names {', '.join(self.remote)}, but fleet.scheduler is not given: remote devices need a scheduler"
            )
        return self


class CampaignConfig(ConfigPart):
    """Everything a campaign is: one supernet, its data, devices and objectives, and how to search.

    Attributes
    ----------
    folder : str, optional
        Where the campaign lies; by default ``runs/NAME``.
    supernet : SupernetConfig
        Which supernet.
    data : DataConfig
        Labelled examples.
    device : tuple of DeviceConfig
        The target devices, at least one.
    objective : tuple of ObjectiveConfig
        What to optimise, at least two.
    protocol : TimingProtocol
        How to measure latencies for the search.
    profile : ProfileConfig
        What is measured before the search.
    search : SearchConfig
        How to search.
    validate_ : ValidateConfig
        How candidates are measured at the end (``[validate]``).
    certified : CertifiedConfig
        What the objective ``verified_accuracy`` proves.
    task : tuple of TaskConfig
        Further tasks of the largest subnet.
    fleet : FleetConfig
        Who measures.
    budget : BudgetConfig
        How long a whole run may take.
    store : str, optional
        A SQLite file or the URL of a database; by default ``store.sqlite`` in the folder. The folder keeps no password: give
        it by ``PGPASSWORD`` or ``~/.pgpass``.

    Examples
    --------
    >>> config = CampaignConfig(device=({"name": "cpu"},))
    >>> [o.name for o in config.objectives_for("cpu")]
    ['accuracy', 'latency_ms@cpu']
    """

    folder: str | None = None
    supernet: SupernetConfig = SupernetConfig()
    data: DataConfig = DataConfig()
    device: tuple[DeviceConfig, ...] = ()
    objective: tuple[ObjectiveConfig, ...] = (
        ObjectiveConfig(metric="accuracy"),
        ObjectiveConfig(metric="latency_ms"),
    )
    protocol: TimingProtocol = TimingProtocol()
    profile: ProfileConfig = ProfileConfig()
    search: SearchConfig = SearchConfig()
    validate_: ValidateConfig = Field(ValidateConfig(), alias="validate")
    certified: CertifiedConfig = CertifiedConfig()
    task: tuple[TaskConfig, ...] = ()
    fleet: FleetConfig = FleetConfig()
    budget: BudgetConfig = BudgetConfig()
    store: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> CampaignConfig:
        if not self.device:
            raise ValueError("at least one [[device]] is needed")
        names = [d.name for d in self.device]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two devices are named {name!r}")
        tasks = [t.name.casefold() for t in self.task]  # names of files, which some systems fold
        for task in self.task:
            if tasks.count(task.name.casefold()) > 1:
                raise ValueError(f"two tasks are named {task.name!r}: give each a name of its own")
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
        if self.validate_.race_error is not None and any(o.metric == "verified_accuracy" for o in self.objective):
            raise ValueError(
                "validate.race_error drops candidates by accuracy alone and cannot serve objective 'verified_accuracy': "
                "leave one of them out"
            )
        return self

    def _once_each(self, device: str) -> None:
        """Check that each metric is one objective of a device, with one limit."""
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
        """Refuse further device metrics where one subnet serves all devices: they are judged by their latencies alone."""
        if self.search.deployment == "per-device":
            return
        for o in self.objectives_for(device):
            if o.metric in DEVICE_METRICS and (
                o.metric != "latency_ms" or (o.limit is not None and o.limit.op == ">=")
            ):
                what = f"objective {o.metric!r}" if o.metric != "latency_ms" else f"the limit latency_ms {o.limit}"
                raise ValueError(
                    f"search.deployment = {self.search.deployment!r} weighs latencies and cannot take {what}"
                )

    def _reference_known(self, devices: list[str]) -> None:
        share = SHARES.get(self.search.deployment)
        known = {share} if share else set()
        for o in (o for d in devices for o in self.objectives_for(d)):
            if not (share and o.metric in DEVICE_METRICS):
                known |= {o.metric, o.name}
        for name in self.search.reference or {}:
            metric, at, device = name.partition("@")
            if metric_name(metric) + at + device not in known:
                raise ValueError(f"search.reference names {name!r}, which is no objective. {nearest(name, known)}")

    def objectives_for(self, device: str) -> list[Objective]:
        """Return the objectives that hold on one device.

        Parameters
        ----------
        device : str
            The device's name.

        Returns
        -------
        list of Objective
            What is measured on devices without naming one is this device's.
        """
        found = []
        for o in self.objective:
            if o.device not in (None, device):
                continue
            objective = o.to_objective()
            if objective.metric in DEVICE_METRICS:
                objective = replace(objective, device=device)
            found.append(objective)
        return found

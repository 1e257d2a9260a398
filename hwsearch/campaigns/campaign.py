"""A campaign: one supernet, its objectives and its devices, in one folder with its store."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from hwsearch._files import anything, check_place, write_file
from hwsearch.campaigns.budget.pace import PACE, Pace
from hwsearch.campaigns.budget.settings import PLAN, planned_settings, with_settings
from hwsearch.campaigns.config import CampaignConfig, DeviceConfig
from hwsearch.campaigns.costs import CostTable
from hwsearch.campaigns.data import leakage_warnings, load_data, prepared_digest
from hwsearch.campaigns.loading import CONFIG_FILE, load_config, with_absolute_paths
from hwsearch.campaigns.profile_set import ProfileSet, choose_profile
from hwsearch.campaigns.progress import LoggedProgress, Progress
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.starting import starting_subnet
from hwsearch.campaigns.states import SECONDS
from hwsearch.campaigns.subnet_cache import SubnetCache
from hwsearch.campaigns.target import Target
from hwsearch.campaigns.toml import to_toml
from hwsearch.campaigns.trust import foreign_part, require_trust
from hwsearch.devices import TimingProtocol, create_runtime
from hwsearch.devices.fleet.executors import InProcessExecutor, IsolatedExecutor
from hwsearch.devices.runtimes.catalogue import starts_programs
from hwsearch.devices.threads import compute_threads
from hwsearch.errors import CampaignError, DeviceError, nearest
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.objectives.objective import Objective
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.store import Store
from hwsearch.store.connection import without_password
from hwsearch.supernets.catalogue import load_supernet
from hwsearch.supernets.entry import LoadedSupernet
from hwsearch.tasks.data import Data

if TYPE_CHECKING:
    from hwsearch.devices.fleet.dask import Cluster


class Campaign:
    """One supernet, its task, objectives and devices, in one folder with its store; opened by `Campaign.open`.

    Every verb works on a campaign, can be repeated, and takes up where it stopped. Opening one executes nothing: the
    supernet is built, data are read and devices are asked when they are first used.

    Parameters
    ----------
    folder : pathlib.Path
        Where everything lies: configuration, store, models, report.
    config : CampaignConfig
        What was asked, defaults included.
    progress : Progress, optional
        Receives the steps of long work; by default the logger ``hwsearch``.

    Attributes
    ----------
    asked : CampaignConfig
        The configuration as it was given; `config` is what a budget leaves of it.
    waited_s : float
        Seconds that this process has waited for others to measure on this host.
    foreign : pathlib.Path or None
        The file or folder that the configuration was read from, where it belongs to another user.
    trusted : bool
        Whether what a foreign configuration names may be executed.
    task_examples : dict of str to (Data, Data)
        Training and test examples of ``[[task]]`` by their ``data``: what `check` has read, until the tasks are trained.
    """

    foreign: Path | None = None
    trusted: bool = False

    def __init__(self, folder: Path, config: CampaignConfig, progress: Progress | None = None) -> None:
        self.folder = folder
        self.asked = config
        self.waited_s = 0.0
        self.task_examples: dict[str, tuple[Data, Data]] = {}
        self._planned: CampaignConfig | None = None
        self.progress: Progress = progress or LoggedProgress()
        self.subnets = SubnetCache()
        torch.set_num_threads(compute_threads())

    @classmethod
    def open(
        cls,
        source: Path | str | CampaignConfig,
        *,
        folder: Path | str | None = None,
        progress: Progress | None = None,
        trust: bool = False,
    ) -> Campaign:
        """Open the campaign of a configuration, or the one that lies in a folder.

        Any setting but the supernet may change between calls, since measurements are kept by content.

        Parameters
        ----------
        source : path or CampaignConfig
            A configuration file, a campaign's folder, or a configuration.
        folder : path, optional
            Where the campaign lies; by default what the configuration says, or ``runs/NAME``.
        progress : Progress, optional
            Receives the steps of long work.
        trust : bool
            Execute what the configuration names even if another user wrote it, see SECURITY.md.

        Returns
        -------
        Campaign
            Its folder and its ``campaign.toml`` have been written.

        Raises
        ------
        CampaignError
            If there is no such file or campaign, the folder cannot be written to, or it holds a campaign of another
            supernet.
        ConfigError
            If the configuration is wrong.
        """
        written: tuple[Path, ...] = ()
        if isinstance(source, CampaignConfig):
            config = source
            place = Path(folder or config.folder or "runs/campaign")
        else:
            source = Path(source)
            if source.is_dir():
                if not (source / CONFIG_FILE).exists():
                    raise CampaignError(
                        f"{str(source)!r} is not a campaign: it has no {CONFIG_FILE}.",
                        hint="Start one with 'hwsearch run CONFIG.toml'.",
                    )
                config, place, written = load_config(source / CONFIG_FILE), source, (source, source / CONFIG_FILE)
            elif source.exists():
                config = load_config(source)
                place, written = Path(folder or config.folder or Path("runs") / source.stem), (source,)
            else:
                raise CampaignError(
                    f"there is no configuration file or campaign folder {str(source)!r}.",
                    hint="Check the path, or write a configuration with 'hwsearch init'.",
                )
        campaign = cls(place, with_absolute_paths(config), progress)
        campaign.foreign, campaign.trusted = foreign_part(*written), trust
        campaign._settle()
        return campaign

    def _settle(self) -> None:
        path = self.folder / CONFIG_FILE
        if path.exists():
            before = with_absolute_paths(load_config(path))
            if before.supernet.name != self.asked.supernet.name:
                raise CampaignError(
                    f"{str(self.folder)!r} is a campaign on supernet {before.supernet.name!r}, not {self.asked.supernet.name!r}.",
                    hint="Give another --folder.",
                )
        store = self.asked.store
        kept = self.asked if store is None else self.asked.model_copy(update={"store": without_password(store)})
        text = to_toml(kept).encode()
        if self.foreign == self.folder and not self.trusted:
            return  # it is only read
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != text:
                write_file(path, text, anything)
        except OSError as error:
            raise CampaignError(
                f"cannot write to {str(self.folder)!r}: {error.strerror}.",
                hint="Make the folder writable, or give another --folder.",
            ) from error

    # ------------------------------------------------------------------ what it is made of
    @cached_property
    def store(self) -> Store:
        """The campaign's measurements and state."""
        return Store.open(self.asked.store or self.folder / "store.sqlite")

    @property
    def config(self) -> CampaignConfig:
        """The configuration that is measured: as it was asked for, with what the plan of its budget lowers."""
        if self.asked.budget.minutes is None:
            return self.asked
        if self._planned is None:
            self._planned = with_settings(self.asked, planned_settings(self.store.get_state(PLAN)))
        return self._planned

    def plan_anew(self) -> None:
        """Take up the settings of the plan that the store has now."""
        self._planned = None
        for name in ("_data", "_after", "final_protocol", "profile_set"):
            self.__dict__.pop(name, None)

    @cached_property
    def pace(self) -> Pace:
        """The pace of work on this campaign's hosts; kept in the store where there is a budget to divide."""
        if self.asked.budget.minutes is None:
            return Pace()
        return Pace(self.store.get_state(PACE), lambda known: self.store.put_state(PACE, known))

    @cached_property
    def loaded(self) -> LoadedSupernet:
        """The supernet with its weights and catalogue entry."""
        name = self.config.supernet.name
        if ":" in name:
            self.require_trust(f"import {name.rpartition(':')[0]!r}")
        return load_supernet(**self.config.supernet.model_dump())

    @property
    def space(self) -> SearchSpace:
        """The supernet's search space."""
        return self.loaded.net.space

    @cached_property
    def targets(self) -> dict[str, Target]:
        """The devices by name, in the order of the configuration."""
        return {d.name: self._target(d) for d in self.config.device}

    def _target(self, config: DeviceConfig) -> Target:
        fleet, device = self.config.fleet, config.to_device()
        if starts_programs(device):
            self.require_trust(f"start the programs of device {device.name!r}")
        if config.name in fleet.remote:
            return Target(config, self.cluster.executor(device.name), self.cluster.runtime(device), remote=True)
        executor = IsolatedExecutor() if fleet.isolation else InProcessExecutor()
        return Target(config, executor, create_runtime(device))

    @cached_property
    def cluster(self) -> Cluster:
        """The workers of other hosts; connected to when first asked for."""
        from hwsearch.devices.fleet.dask import Cluster  # needs the extra

        fleet = self.config.fleet
        assert fleet.scheduler is not None
        self.require_trust(f"take Python objects from the scheduler {fleet.scheduler!r}")
        return Cluster(fleet.scheduler, fleet.certificates, insecure=fleet.insecure)

    @cached_property
    def with_network(self) -> Campaign:
        """The campaign whose network and data can be used, not only read about; itself."""
        return self

    def require_trust(self, what: str) -> None:
        """Refuse to execute what another user's configuration names; see `hwsearch.campaigns.trust`.

        Parameters
        ----------
        what : str
            What would be executed, as the rest of "would …".

        Raises
        ------
        TrustError
            If the configuration is another user's and is not trusted.
        """
        require_trust(self.foreign, what, trusted=self.trusted)

    def target(self, name: str | None) -> Target:
        """Return a device.

        Parameters
        ----------
        name : str or None
            Its name; None for the only one.

        Returns
        -------
        Target
            The device.

        Raises
        ------
        DeviceError
            If there is no such device, or several and none is named.
        """
        if name is None:
            if len(self.targets) == 1:
                return next(iter(self.targets.values()))
            raise DeviceError(
                f"this campaign has {len(self.targets)} devices.", hint=f"Say which: {', '.join(self.targets)}."
            )
        if name not in self.targets:
            raise DeviceError(f"this campaign has no device {name!r}.", hint=nearest(name, self.targets))
        return self.targets[name]

    def objectives(self, device: str) -> list[Objective]:
        """Return the objectives that hold on a device.

        Parameters
        ----------
        device : str
            The device's name.

        Returns
        -------
        list of Objective
            In the order of the configuration.
        """
        return self.config.objectives_for(device)

    def device_metrics(self, device: str) -> list[str]:
        """Return what is measured on a device.

        Parameters
        ----------
        device : str
            The device's name.

        Returns
        -------
        list of str
            ``latency_ms``, and what further objectives name.
        """
        named = [o.metric for o in self.objectives(device) if o.metric in DEVICE_METRICS]
        return list(dict.fromkeys(["latency_ms", *named]))

    @property
    def protocol(self) -> TimingProtocol:
        """Timing protocol of the search."""
        return self.config.protocol

    @cached_property
    def final_protocol(self) -> TimingProtocol:
        """Timing protocol of a front: to a narrower interval, one process at a time (`validate` spreads them)."""
        v = self.config.validate_
        changes = {"processes": (1, 1), "half_width": v.half_width, "budget_s": v.budget_s}
        return self.protocol.model_copy(update=changes)

    @property
    def data(self) -> dict[str, Data]:
        """The examples by `Split`: ``validation``, ``test``, and ``calibration`` and ``screen`` where they are needed."""
        return self._data[0]

    @property
    def leakage_warnings(self) -> list[str]:
        """Warnings about test examples that also occur in the validation or calibration split (data leakage)."""
        return self._data[1]

    @cached_property
    def _data(self) -> tuple[dict[str, Data], list[str]]:
        found = load_data(self.config, self.loaded)
        warnings = leakage_warnings(found)
        for warning in warnings:
            self.progress.warn(warning)
        return found, warnings

    @property
    def certified(self) -> bool:
        """Whether verified accuracy is an objective."""
        return any(o.metric == "verified_accuracy" for o in self.config.objective)

    @property
    def score_metrics(self) -> list[str]:
        """Metrics measured on examples: ``accuracy``, and ``verified_accuracy`` where it is an objective."""
        return ["accuracy", *["verified_accuracy"] * self.certified]

    def example_subject(self, split: str) -> str:
        """Return what an accuracy depends on besides subnet and weights: data, order of classes, preprocessing.

        Parameters
        ----------
        split : str
            The `Split` that subnets are scored on.

        Returns
        -------
        str
            Digests of the calibration data and of the split, and of how they are prepared.
        """
        how = prepared_digest(self.loaded.task, self.data[split])
        return "+".join([*(self.data[s].digest for s in (Split.CALIBRATION, split) if s in self.data), how])

    def rng(self, purpose: str) -> np.random.Generator:
        """Return randomness that depends on the campaign's seed and on what it is for.

        Parameters
        ----------
        purpose : str
            What it is for; the same text gives the same numbers.

        Returns
        -------
        numpy.random.Generator
            A fresh generator.
        """
        return np.random.default_rng([self.config.search.seed, *purpose.encode()])

    @cached_property
    def reference(self) -> Architecture:
        """Reference subnet, interleaved with all candidates to track host drift: the middle of the range of MACs."""
        found = self.space.sample_balanced(3, np.random.default_rng(0), self.loaded.balanced_cost)
        if len(found) < 3:
            raise CampaignError(
                f"search space {self.space.name!r} has {len(found)} subnets, too few to search among.",
                hint="Declare more choices; widths are rounded to multiples of their divisor, 8 by default.",
            )
        return found[2]

    @cached_property
    def profile_set(self) -> ProfileSet:
        """The subnets that are measured before the search; the same for one space, seed and ``[profile]``."""
        starting = [starting_subnet(place, self.space) for place in self.config.search.starting_subnets]
        return choose_profile(self.config.profile, self.space, self.loaded.balanced_cost, self.rng("profile"), starting)

    @cached_property
    def costs(self) -> CostTable:
        """The computed costs of what has been measured, kept in the store."""
        return CostTable(self.store, self.loaded.digest)

    def enter(self, archs: Sequence[Architecture]) -> None:
        """Keep in the store which architectures are about to be measured, with their computed costs.

        Parameters
        ----------
        archs : sequence of Architecture
            Of the campaign's space.
        """
        self.store.add_architectures(archs)
        self.costs.add(self.space, archs, self.loaded.net.cost_features)

    def measured(self) -> int:
        """Count the values that the store holds.

        Returns
        -------
        int
            Values of any metric, without failures.
        """
        return self.store.count()

    def note_seconds(self, step: str, seconds: float, *, went_on: bool = False) -> None:
        """Remember how long a step took.

        Parameters
        ----------
        step : str
            The step's name.
        seconds : float
            What it took this time.
        went_on : bool
            Whether it measured something, or was interrupted: its time is then added to what the step took before. Else
            the longest run counts, as others may have had nothing to do.
        """
        known = self._noted_seconds()
        before = known.get(step, 0.0)
        if went_on:
            self.store.put_state(SECONDS, {**known, step: round(before + seconds, 2)})
        elif seconds > before:
            self.store.put_state(SECONDS, {**known, step: round(seconds, 2)})

    def seconds(self) -> dict[str, float]:
        """Return how long each step took, all runs that measured something together.

        A run that was killed counts up to the last that it kept, see `hwsearch.store.run_table.RunTable.lost_seconds`.

        Returns
        -------
        dict of str to float
            Seconds by step.
        """
        found, lost = self._noted_seconds(), self.store.lost_seconds()
        return found | {step: round(found.get(step, 0.0) + s, 2) for step, s in lost.items() if s > 0}

    def _noted_seconds(self) -> dict[str, float]:
        return dict(self.store.get_state(SECONDS) or {})

    def log_to_file(self) -> logging.Handler:
        """Add ``log.txt`` of the folder to the logger ``hwsearch``.

        Returns
        -------
        logging.Handler
            The handler, which the caller removes.
        """
        check_place(self.folder / "log.txt", anything)
        handler = logging.FileHandler(self.folder / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger("hwsearch")
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        return handler

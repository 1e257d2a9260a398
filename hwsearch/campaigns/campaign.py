"""A campaign: one supernet, its objectives and its devices, in one folder with its store."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.loading import load_config, with_absolute_paths
from hwsearch.campaigns.progress import LoggedProgress, Progress
from hwsearch.campaigns.target import Target
from hwsearch.campaigns.toml import to_toml
from hwsearch.devices import Protocol
from hwsearch.devices.fleet.executors import InProcess, Isolated
from hwsearch.devices.host import usable_cores
from hwsearch.errors import CampaignError, DataError, DeviceError, nearest
from hwsearch.exporters import write_atomic
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.objectives.objective import Objective
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.store import Store
from hwsearch.supernets.catalogue import load_supernet
from hwsearch.supernets.entry import LoadedSupernet
from hwsearch.tasks.data import Data

if TYPE_CHECKING:
    from hwsearch.campaigns.warm_start import Earlier
    from hwsearch.devices.fleet.dask import Cluster


CONFIG_FILE = "campaign.toml"


def _shared(data: Mapping[str, Data]) -> list[str]:
    """What is said where test examples are also among those that the search or the calibration used."""
    found = []
    for other in ("validation", "calibration"):
        if other in data:
            try:
                n = len(data["test"]) - len(data["test"].without([data[other]]))
            except DataError:  # none is left
                n = len(data["test"])
            if n:
                found.append(
                    f"{n:,} of {len(data['test']):,} test examples are also {other} data: the report's accuracies are "
                    "not independent of the search."
                )
    return found


def torch_threads() -> int:
    """Threads for accuracies: all usable cores, or what OMP_NUM_THREADS says."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else usable_cores()


class Campaign:
    """Opened by `Campaign.open`; every verb of the engine takes one.

    folder : where everything lies; config : what was asked, defaults included
    """

    def __init__(self, folder: Path, config: CampaignConfig, progress: Progress | None = None) -> None:
        self.folder = folder
        self.config = config
        self.progress: Progress = progress or LoggedProgress()
        torch.set_num_threads(torch_threads())

    @classmethod
    def open(
        cls, source: Path | str | CampaignConfig, *, folder: Path | str | None = None, progress: Progress | None = None
    ) -> Campaign:
        """The campaign of a configuration file, or the one that lies in a folder.

        A folder that already holds a campaign of another supernet is refused; any other setting may
        change between calls, since measurements are kept by content.
        """
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
                config, place = load_config(source / CONFIG_FILE), source
            elif source.exists():
                config = load_config(source)
                place = Path(folder or config.folder or Path("runs") / source.stem)
            else:
                raise CampaignError(f"there is no configuration file or campaign folder {str(source)!r}.")
        campaign = cls(place, with_absolute_paths(config), progress)
        campaign._settle()
        return campaign

    def _settle(self) -> None:
        path = self.folder / CONFIG_FILE
        if path.exists():
            before = with_absolute_paths(load_config(path))
            if before.supernet.name != self.config.supernet.name:
                raise CampaignError(
                    f"{str(self.folder)!r} is a campaign on supernet {before.supernet.name!r}, not {self.config.supernet.name!r}.",
                    hint="Give another --folder.",
                )
        text = to_toml(self.config).encode()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != text:
                write_atomic(path, text)
        except OSError as error:
            raise CampaignError(f"cannot write to {str(self.folder)!r}: {error.strerror}.") from error

    # ------------------------------------------------------------------ what it is made of
    @cached_property
    def store(self) -> Store:
        return Store.open(self.config.store or self.folder / "store.sqlite")

    @cached_property
    def loaded(self) -> LoadedSupernet:
        return load_supernet(**self.config.supernet.model_dump())

    @cached_property
    def earlier(self) -> Earlier:
        """What the campaigns of ``[search] earlier`` measured, as predictions."""
        from hwsearch.campaigns.warm_start import Earlier  # it takes a campaign

        return Earlier(self, self.config.search.earlier)

    @property
    def space(self) -> SearchSpace:
        return self.loaded.net.space

    @cached_property
    def targets(self) -> dict[str, Target]:
        fleet = self.config.fleet
        executor = Isolated() if fleet.isolation else InProcess()
        return {
            d.name: Target(d, executor, self.cluster if d.name in fleet.remote else None) for d in self.config.device
        }

    @cached_property
    def cluster(self) -> Cluster:
        """The workers of other hosts; connects when first asked for."""
        from hwsearch.devices.fleet.dask import Cluster  # needs the extra

        fleet = self.config.fleet
        assert fleet.scheduler is not None
        return Cluster(fleet.scheduler, fleet.certificates, insecure=fleet.insecure)

    def target(self, name: str | None) -> Target:
        """The device of that name; the only one, when None."""
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
        return self.config.objectives_for(device)

    def device_metrics(self, device: str) -> list[str]:
        """What is measured on one device: its latency, and what further objectives name."""
        named = [o.metric for o in self.objectives(device) if o.metric in DEVICE_METRICS]
        return list(dict.fromkeys(["latency_ms", *named]))

    @cached_property
    def protocol(self) -> Protocol:
        return Protocol(**self.config.protocol.model_dump())

    @cached_property
    def final_protocol(self) -> Protocol:
        v = self.config.validate_
        return replace(self.protocol, processes=v.processes, half_width=v.half_width, budget_s=v.budget_s)

    @property
    def data(self) -> dict[str, Data]:
        """The examples ``validation`` and ``test``, ``calibration`` where the family has batch norms, and, with
        ``[search] screen_images``, the first of the validation examples as ``screen``.
        """
        return self._data[0]

    @cached_property
    def unscreened(self) -> Data:
        """The validation examples that are not in ``screen``."""
        return self.data["validation"].take(np.arange(len(self.data["screen"]), len(self.data["validation"])))

    @property
    def data_warnings(self) -> list[str]:
        """What is said where test examples are no test."""
        return self._data[1]

    @cached_property
    def _data(self) -> tuple[dict[str, Data], list[str]]:
        c, entry = self.config.data, self.loaded.entry
        shipped = entry.data() if entry.data else {}
        classes = shipped["test"].classes if shipped else None
        vocabulary = Path(c.vocabulary) if c.vocabulary else None
        found: dict[str, Data] = {}
        for split in ("calibration", "validation", "test") if entry.calibrated else ("validation", "test"):
            limit = int(getattr(c, f"{split}_images"))
            path = getattr(c, split)
            if path:
                found[split] = self.loaded.task.read(path, limit=limit, classes=classes, vocabulary=vocabulary)
            elif split in shipped:
                found[split] = shipped[split].head(limit)
            else:
                raise DataError(
                    f"supernet {entry.name!r} ships no {split} data.",
                    hint=f"Set data.{split} in the configuration.",
                )
            try:
                self.loaded.net.check_data(found[split], split)
            except DataError as error:
                raise DataError(f"{path or entry.name}: {error.message}", hint=error.hint) from error
            classes = classes or found[split].classes or None
        few, every = self.config.search.screen_images, len(found["validation"])
        if self.config.search.screen > 1 and few:
            if few >= every:
                raise DataError(
                    f"[search] screen_images = {few:,}, but there are {every:,} validation examples.",
                    hint="Screen with fewer, or with latency alone.",
                )
            found["screen"] = found["validation"].head(few)
        warnings = _shared(found)
        for warning in warnings:
            self.progress.warn(warning)
        return found, warnings

    def example_subject(self, split: str) -> str:
        """What an accuracy depends on besides subnet and weights: the data, their order of classes, their preparation."""
        prepared = [self.loaded.task.preprocess.to_dict(), list(self.data[split].classes)]
        how = hashlib.sha256(json.dumps(prepared, sort_keys=True).encode()).hexdigest()[:8]
        return "+".join([*(self.data[s].digest for s in ("calibration", split) if s in self.data), how])

    def rng(self, purpose: str) -> np.random.Generator:
        """Randomness that depends on the campaign's seed and on what it is for."""
        return np.random.default_rng([self.config.search.seed, *purpose.encode()])

    @cached_property
    def reference(self) -> Architecture:
        """The subnet that is run between all others: the middle of the range of MACs."""
        return self.space.sample_balanced(3, np.random.default_rng(0), self.loaded.balanced_cost)[2]

    def measured(self) -> int:
        """How many values the store holds."""
        return len(self.store.frame())

    def note_seconds(self, step: str, seconds: float) -> None:
        """Remember how long a step took when it last had work to do."""
        known = self.seconds()
        if step not in known or seconds > 0.2 * known[step]:
            self.store.put_state("seconds", {**known, step: round(seconds, 2)})

    def seconds(self) -> dict[str, float]:
        return dict(self.store.get_state("seconds") or {})

    def log_to_file(self) -> logging.Handler:
        """Add ``log.txt`` of the folder to the logger ``hwsearch``; the caller removes the handler."""
        handler = logging.FileHandler(self.folder / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger("hwsearch")
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        return handler

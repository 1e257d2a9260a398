"""A campaign as its store describes it: network, data and devices are known without building, reading or asking them.

`keep_record` writes what reading needs after every step. `as_recorded` opens it again: the same verbs work on it, and
nothing that the configuration names is imported or started.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any, cast

from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.config import CampaignConfig, DeviceConfig
from hwsearch.campaigns.profile_set import ProfileSet
from hwsearch.campaigns.recorded_parts import (
    RecordedData,
    RecordedNetwork,
    RecordedRuntime,
    describe_task,
    recorded_task,
)
from hwsearch.campaigns.target import Target
from hwsearch.devices.fleet.executors import InProcessExecutor
from hwsearch.errors import CampaignError, StoreError
from hwsearch.spaces import Architecture
from hwsearch.spaces.files import from_dict
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.entry import LoadedSupernet, SupernetEntry
from hwsearch.tasks.data import Data

#: what of a supernet's card the report shows
CARD = ("licence", "weights_licence", "training_summary")


def record_name(config: CampaignConfig) -> str:
    """Name the record of a configuration by all that it depends on.

    Parameters
    ----------
    config : CampaignConfig
        Of the campaign.

    Returns
    -------
    str
        Name of a document in the store; another supernet, other data or devices have another.
    """
    s = config.search
    parts = [
        config.supernet.model_dump(),
        config.data.model_dump(),
        [d.model_dump(exclude={"weight"}) for d in config.device],
        [config.fleet.remote, config.profile.model_dump(), s.seed, s.screening_factor > 1 and s.screening_images],
        *([s.fidelities] if s.fidelities else []),
    ]
    return f"record:{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]}"


def keep_record(campaign: Campaign) -> None:
    """Keep in the store what reading a campaign needs of its network, data and devices, as far as this process knows them.

    Parameters
    ----------
    campaign : Campaign
        Nothing is kept, and nothing executed, where a part has not been used.
    """
    if isinstance(campaign, RecordedCampaign) or not {"loaded", "targets", "_data"} <= vars(campaign).keys():
        return
    loaded = campaign.loaded
    record = {
        "supernet": {
            "name": loaded.entry.name,
            "digest": loaded.digest,
            "classes": loaded.net.classes,
            "space": campaign.space.to_dict(),
            "card": {k: loaded.entry.card[k] for k in CARD if k in loaded.entry.card},
        },
        "task": describe_task(loaded.task),
        "data": {
            str(split): {"name": d.name, "digest": d.digest, "classes": list(d.classes), "examples": len(d)}
            for split, d in campaign.data.items()
        },
        "leakage": campaign.leakage_warnings,
        "devices": [
            {"name": t.name, "form": t.form, "remote": t.remote, "facts": t.facts} for t in campaign.targets.values()
        ],
        "reference": campaign.reference.to_dict(),
        "profile": {kind: [a.to_dict() for a in archs] for kind, archs in campaign.profile_set._asdict().items()},
    }
    plain = json.loads(json.dumps(record, default=str))  # as `fingerprint` does
    ends = [campaign.space.smallest(), campaign.space.largest(), *campaign.profile_set.timed]
    campaign.costs.add(campaign.space, ends, loaded.net.cost_features)
    name = record_name(campaign.config)
    if campaign.store.get_state(name) != plain:
        campaign.store.put_state(name, plain)


def as_recorded(campaign: Campaign) -> Campaign:
    """Return a campaign for reading: as its store describes it, so that nothing is executed.

    Parameters
    ----------
    campaign : Campaign
        As it was opened.

    Returns
    -------
    Campaign
        A `RecordedCampaign`; `campaign` itself, where this process has already built or asked its parts, or where no step of
        its configuration has been done.

    Raises
    ------
    StoreError
        If the store cannot be read, or its record is damaged.
    """
    if isinstance(campaign, RecordedCampaign) or {"loaded", "targets", "_data"} & vars(campaign).keys():
        return campaign
    record = campaign.store.get_state(record_name(campaign.config))
    return campaign if record is None else RecordedCampaign(campaign, record)


class RecordedCampaign(Campaign):
    """A campaign whose network, data and devices are those that its store describes.

    Parameters
    ----------
    campaign : Campaign
        The same campaign; its network is built for what is not recorded, such as a model to export.
    record : dict
        As `keep_record` wrote it.

    Raises
    ------
    StoreError
        If the record is damaged.
    """

    def __init__(self, campaign: Campaign, record: JsonObject) -> None:
        super().__init__(campaign.folder, campaign.asked, campaign.progress)
        self._live = campaign
        self.store = campaign.store
        try:
            self._supernet = self._build_supernet(record)
            self._examples = {
                str(split): RecordedData(d["name"], d["digest"], tuple(d["classes"]), int(d["examples"]))
                for split, d in record["data"].items()
            }
            self._warnings = [str(w) for w in record["leakage"]]
            self._devices = {str(d["name"]): d for d in record["devices"]}
            self._targets = {d.name: self._recorded_target(d) for d in self.config.device}
            self._reference = self._supernet.net.space.architecture(record["reference"])
            self._profile = ProfileSet(**{k: self._archs(record["profile"][k]) for k in ProfileSet._fields})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(
                f"what the store of {str(self.folder)!r} says of its campaign is damaged: {type(error).__name__}: {error}.",
                hint="Give 'hwsearch check' for the campaign: it writes it anew.",
            ) from error

    def _build_supernet(self, record: JsonObject) -> LoadedSupernet:
        about = record["supernet"]
        space = from_dict(about["space"])
        task = recorded_task(record["task"], lambda: self.with_network.loaded.task)
        net = RecordedNetwork(space, int(about["classes"]), self.costs_of, lambda: self.with_network.loaded.net)
        entry = SupernetEntry(
            str(about["name"]), "", build=lambda: self.with_network.loaded.net, task=task, card=dict(about["card"])
        )
        return LoadedSupernet(entry, cast(Supernet, net), str(about["digest"]))

    def costs_of(self, ids: list[str]) -> dict[str, Any] | None:
        """Find the recorded costs of architectures; see `hwsearch.campaigns.costs.CostTable.find`.

        Parameters
        ----------
        ids : list of str
            Architecture ids.

        Returns
        -------
        dict or None
            None where one is not recorded.
        """
        return self.costs.find(ids)

    def _recorded_target(self, config: DeviceConfig) -> Target:
        kept = self._devices[config.name]
        runtime = RecordedRuntime(kept["form"], dict(kept["facts"]))
        return Target(config, InProcessExecutor(), runtime, remote=bool(kept["remote"]))

    def _archs(self, genes: Iterable[JsonObject]) -> list[Architecture]:
        return [self._supernet.net.space.architecture(g) for g in genes]

    @cached_property
    @override
    def with_network(self) -> Campaign:
        found = Campaign(self.folder, self.asked, self.progress)
        found.store, found.targets, found.loaded = self.store, self.targets, self._live.loaded
        if found.loaded.digest != self._supernet.digest:
            raise CampaignError(
                f"supernet {self._supernet.entry.name!r} has other weights than those that were measured.",
                hint="Put the weight file back, or measure anew with 'hwsearch run'.",
            )
        return found

    @cached_property
    @override
    def loaded(self) -> LoadedSupernet:
        return self._supernet

    @cached_property
    @override
    def targets(self) -> dict[str, Target]:
        return self._targets

    @cached_property
    @override
    def _data(self) -> tuple[dict[str, Data], list[str]]:
        return dict(self._examples), self._warnings

    @cached_property
    @override
    def reference(self) -> Architecture:
        return self._reference

    @cached_property
    @override
    def profile_set(self) -> ProfileSet:
        return self._profile

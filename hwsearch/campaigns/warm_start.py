"""What earlier campaigns measured, as predictions that a search can start from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.campaigns.campaign import CONFIG_FILE, Campaign
from hwsearch.campaigns.loading import load_config
from hwsearch.errors import CampaignError
from hwsearch.store import Store
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.catalogue import load_supernet
from hwsearch.supernets.entry import LoadedSupernet
from predictors import CrossValidatedPredictor

log = logging.getLogger("hwsearch")

#: fewer subnets than this are not learnt from
LEAST = 8


class Earlier:
    """Predictions of what earlier campaigns measured in their searches, for the subnets of another campaign.

    folders : of campaigns, on any devices. One on the same search space is learnt from gene by gene. For another supernet
        it is learnt how a quantity follows the cost features that both have (``macs``, ``params``, …).

    names : one a column, ``METRIC of FOLDER`` or ``METRIC on DEVICE of FOLDER``

    Raises CampaignError for a folder without a campaign, and for one with too little in it.
    """

    def __init__(self, campaign: Campaign, folders: Sequence[Path | str]) -> None:
        self._net = campaign.loaded.net
        self.names: list[str] = []
        self._models: list[tuple[list[str] | None, CrossValidatedPredictor]] = []
        for folder in map(Path, folders):
            self._read(campaign, folder)

    def _read(self, campaign: Campaign, folder: Path) -> None:
        if not (folder / CONFIG_FILE).exists():
            raise CampaignError(
                f"[search] earlier names {str(folder)!r}, which is not a campaign: it has no {CONFIG_FILE}.",
                hint="Give the folder of a campaign, as 'hwsearch run' leaves it.",
            )
        config = load_config(folder / CONFIG_FILE)
        same = config.supernet == campaign.config.supernet
        loaded = campaign.loaded if same else load_supernet(**config.supernet.model_dump())
        columns = None if loaded.net.space == campaign.space else self._shared(loaded)
        with Store.open(config.store or folder / "store.sqlite", create=False) as store:
            rows = store.frame(purpose="search", supernet=loaded.digest)
            archs = {a.id: a for a in store.architectures(loaded.net.space)}
            devices = {fingerprint: name for fingerprint, (name, _) in store.devices().items()}
        found = 0
        for (metric, subject), group in rows[rows["arch_id"].isin(list(archs))].groupby(["metric", "subject"]):
            values = group.groupby("arch_id")["value"].mean()
            if len(values) < LEAST:
                continue
            y = values.to_numpy(dtype=np.float64)
            logs = metric != "accuracy" and bool((y > 0).all())
            X = _features(loaded.net, loaded.net.space.to_array([archs[i] for i in values.index]), columns)
            model = CrossValidatedPredictor(seed=campaign.config.search.seed).fit(X, np.log(y) if logs else y)
            self._models.append((columns, model))
            device = f" on {devices[subject]}" if subject in devices else ""
            self.names.append(f"{metric}{device} of {folder.name}")
            found += 1
        if not found:
            raise CampaignError(
                f"[search] earlier names {str(folder)!r}, in which nothing has been measured on {LEAST} subnets.",
                hint="Run it further, or leave it out.",
            )
        log.info("learnt from %s: %s", folder, ", ".join(self.names[-found:]))

    def _shared(self, loaded: LoadedSupernet) -> list[str]:
        """The cost features that both supernets have."""
        mine, theirs = (net.cost_features(net.space.to_array([net.space.largest()])) for net in (self._net, loaded.net))
        return [name for name in mine if name in theirs]

    def __call__(self, rows: IntArray) -> FloatArray:
        """Predictions (n, columns) of rows (n, genes); logarithms of what is positive, scores as they are."""
        return np.column_stack([model.predict(_features(self._net, rows, columns)) for columns, model in self._models])


def _features(net: Supernet, rows: IntArray, columns: list[str] | None) -> FloatArray:
    """All features (n, columns) of rows (n, genes), or only these cost features."""
    if columns is None:
        return np.asarray(net.features_array(rows)[0])
    costs = net.cost_features(rows)
    return np.column_stack([costs[name] for name in columns])

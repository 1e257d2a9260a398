"""Warm starts: measurements of earlier campaigns, as predictions that a search can start from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hwsearch._typing import FloatArray, IntArray
from hwsearch.campaigns.config import SupernetConfig
from hwsearch.campaigns.estimates import latency_estimates
from hwsearch.campaigns.loading import CONFIG_FILE, load_config
from hwsearch.campaigns.lookup import latency_rows
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.errors import CampaignError
from hwsearch.objectives.names import SCORE_METRICS
from hwsearch.store import Store
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.catalogue import load_supernet
from hwsearch.supernets.entry import LoadedSupernet
from predictors import CrossValidatedPredictor

log = logging.getLogger("hwsearch")

#: an earlier campaign's metric that was measured on fewer subnets than this is not learnt from
LEAST = 8


class WarmStart:
    """Predictions of what earlier campaigns measured in their searches, for the subnets of another campaign.

    A campaign on the same search space is learnt from gene by gene. For another supernet it is learnt how a quantity
    follows the cost features that both have (``macs``, ``params``, …).

    Parameters
    ----------
    loaded : LoadedSupernet
        The supernet whose subnets are predicted.
    supernet : SupernetConfig
        How it is configured; an earlier campaign with the same need not load it again.
    folders : sequence of path
        Folders of campaigns, on any devices.
    seed : int
        Of the predictors' cross-validation.

    Attributes
    ----------
    names : list of str
        One a column, ``METRIC of FOLDER`` or ``METRIC on DEVICE of FOLDER``.

    Raises
    ------
    CampaignError
        For a folder without a campaign, and for one in which nothing was measured on `LEAST` subnets.
    """

    def __init__(
        self, loaded: LoadedSupernet, supernet: SupernetConfig, folders: Sequence[Path | str], *, seed: int = 0
    ) -> None:
        self._loaded, self._supernet, self._seed = loaded, supernet, seed
        self._net: Supernet = loaded.net
        self.names: list[str] = []
        self._models: list[tuple[list[str] | None, CrossValidatedPredictor]] = []
        for folder in map(Path, folders):
            self._read(folder)

    def _read(self, folder: Path) -> None:
        if not (folder / CONFIG_FILE).exists():
            raise CampaignError(
                f"[search] warm_start names {str(folder)!r}, which is not a campaign: it has no {CONFIG_FILE}.",
                hint="Give the folder of a campaign, as 'hwsearch run' leaves it.",
            )
        config = load_config(folder / CONFIG_FILE)
        same = config.supernet == self._supernet
        loaded = self._loaded if same else load_supernet(**config.supernet.model_dump())
        columns = None if loaded.net.space == self._net.space else common_cost_features(self._net, loaded.net)
        with Store.open(config.store or folder / "store.sqlite", create=False) as store:
            rows = _values(store, loaded.digest, config.protocol)
            archs = {a.id: a for a in store.architectures(loaded.net.space)}
            devices = {fingerprint: name for fingerprint, (name, _) in store.devices().items()}
        schema = loaded.net.schema() if columns is None else None
        found = 0
        for (metric, subject), group in rows[rows["arch_id"].isin(list(archs))].groupby(["metric", "subject"]):
            values = group.groupby("arch_id")["value"].mean()
            if len(values) < LEAST:
                continue
            y = values.to_numpy(dtype=np.float64)
            logs = metric not in SCORE_METRICS and bool((y > 0).all())
            X = _features(loaded.net, loaded.net.space.to_array([archs[i] for i in values.index]), columns)
            model = CrossValidatedPredictor(seed=self._seed, schema=schema).fit(X, np.log(y) if logs else y)
            self._models.append((columns, model))
            device = f" on {devices[subject]}" if subject in devices else ""
            self.names.append(f"{metric}{device} of {folder.name}")
            found += 1
        if not found:
            raise CampaignError(
                f"[search] warm_start names {str(folder)!r}, in which nothing has been measured on {LEAST} subnets.",
                hint="Run it further, or leave it out.",
            )
        log.info("learnt from %s: %s", folder, ", ".join(self.names[-found:]))

    def __call__(self, rows: IntArray) -> FloatArray:
        """Predict what the earlier campaigns measured.

        Parameters
        ----------
        rows : IntArray
            (n, genes) encoded architectures of this campaign's space.

        Returns
        -------
        FloatArray
            (n, columns) predictions, see `names`; logarithms of what is positive, scores as they are.
        """
        return np.column_stack([model.predict(_features(self._net, rows, columns)) for columns, model in self._models])


def _values(store: Store, weights: str, protocol: TimingProtocol) -> pd.DataFrame:
    """Return the values of a search: columns metric, subject, arch_id and value; latencies as one estimate a device."""
    rows = store.frame(purpose=str(SEARCH), supernet=weights)
    certified = rows["metric"] == "verified_accuracy"  # of another epsilon it is another metric
    rows.loc[certified, "subject"] = rows["subject"] + " " + rows["protocol"]
    timed = rows["metric"] == "latency_ms"
    parts = [rows.loc[~timed, ["metric", "subject", "arch_id", "value"]]]
    for subject in rows.loc[timed, "subject"].unique():
        of_device = latency_estimates(latency_rows(store, subject, weights), {SEARCH: protocol})[SEARCH]
        parts.append(
            pd.DataFrame(
                {
                    "metric": "latency_ms",
                    "subject": subject,
                    "arch_id": list(of_device),
                    "value": [m.value for m in of_device.values()],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def common_cost_features(mine: Supernet, other: Supernet) -> list[str]:
    """Return the names of the cost features that two supernets have in common.

    Parameters
    ----------
    mine, other : Supernet
        The supernets.

    Returns
    -------
    list of str
        In the order of `mine`.
    """
    own, theirs = (net.cost_features(net.space.to_array([net.space.largest()])) for net in (mine, other))
    return [name for name in own if name in theirs]


def _features(net: Supernet, rows: IntArray, columns: list[str] | None) -> FloatArray:
    """Return all features (n, columns) of rows (n, genes), or only these cost features."""
    if columns is None:
        return np.asarray(net.features_array(rows)[0])
    costs = net.cost_features(rows)
    return np.column_stack([costs[name] for name in columns])

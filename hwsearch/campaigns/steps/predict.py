"""Predict: what the campaign's fitted predictors say of any subnets, beside what has been measured of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import predict_rows, predictor_path
from hwsearch.campaigns.score_table import numbers
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.fronts import find_arch
from hwsearch.campaigns.target import Target
from hwsearch.errors import CampaignError, SpaceError
from hwsearch.searchers.threads import one_blas_thread
from hwsearch.spaces import Architecture
from latency_tables import TableError
from latency_tables.delimited import read_delimited
from latency_tables.parquet import read_parquet
from latency_tables.reading import ReadingError, parse_json, read_text

#: most subnets that are predicted at once
MOST = 1_000_000


@one_blas_thread()
def predict_subnets(
    campaign: Campaign, archs: Sequence[Architecture], devices: Iterable[Target], coverage: float = 0.95
) -> pd.DataFrame:
    """Predict every fitted metric of some subnets.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors.
    archs : sequence of Architecture
        The subnets.
    devices : iterable of Target
        For which devices.
    coverage : float
        Share of new measurements that the intervals are to hold, in (0, 1).

    Returns
    -------
    pandas.DataFrame
        A row a device and subnet: ``device``, ``arch_id``, ``genes``; of each metric (``accuracy``, ``latency_ms``, …) the
        prediction, ``METRIC_low``, ``METRIC_high``, and ``METRIC_measured``, what the search measured (NaN where it did not).

    Raises
    ------
    CampaignError
        If no predictor has been fitted, or `coverage` is not in (0, 1).
    PredictorError
        If a predictor's file is damaged.
    """
    if not 0.0 < coverage < 1.0:
        raise CampaignError(f"coverage {coverage!r} is not between 0 and 1.", hint="Give a share such as 0.95.")
    known, ids = Known.read(campaign), [a.id for a in archs]
    rows = campaign.space.to_array(archs)
    scored = numbers(known.accuracy(Split.VALIDATION), "value", ids)
    accuracy = _columns("accuracy", predict_rows(campaign, "accuracy", None, rows, coverage), scored)
    frames = []
    for target in devices:
        head = {"device": target.name, "arch_id": ids, "genes": [a.to_dict() for a in archs]}
        found = head | accuracy
        for metric in campaign.device_metrics(target.name):
            if not predictor_path(campaign, metric, target.name).exists() and metric != "latency_ms":
                continue
            told = predict_rows(campaign, metric, target.name, rows, coverage)
            found |= _columns(metric, told, numbers(known.metric(target.name, metric), "value", ids))
        frames.append(pd.DataFrame(found))
    return pd.concat(frames, ignore_index=True)


def _columns(metric: str, told: pd.DataFrame, measured: np.ndarray) -> dict[str, np.ndarray]:
    ends = {f"{metric}_{end}": told[end].to_numpy(dtype=np.float64) for end in ("low", "high")}
    return {metric: told["value"].to_numpy(dtype=np.float64), **ends, f"{metric}_measured": measured}


def asked_subnets(
    campaign: Campaign, arch: Sequence[str] = (), archs: Path | None = None, random: int | None = None
) -> list[Architecture]:
    """Return the subnets that a user asks for.

    Parameters
    ----------
    campaign : Campaign
        Whose space.
    arch : sequence of str
        Ids that the campaign has seen, ``smallest`` or ``largest``.
    archs : pathlib.Path, optional
        A file of architectures, see `read_archs`.
    random : int, optional
        So many more, drawn uniformly; the same at every call.

    Returns
    -------
    list of Architecture
        Each once, in the order of being asked for.

    Raises
    ------
    CampaignError
        If nothing or too much is asked for.
    StoreError
        If the campaign has not seen an id.
    SpaceError
        If the file's architectures are not of this space.
    """
    if not arch and archs is None and random is None:
        raise CampaignError("no subnet is named.", hint="Give --arch, --archs or --random.")
    if random is not None and not 0 < random <= MOST:
        raise CampaignError(f"random {random} is not from 1 to {MOST:,}.", hint="Ask for fewer at a time.")
    found = [find_arch(campaign, name) for name in arch]
    found += [] if archs is None else read_archs(campaign, archs)
    if random is not None:
        n = min(random, campaign.space.cardinality)
        found += campaign.space.from_array(campaign.space.sample_array(n, campaign.rng("predict")))
    return list(dict.fromkeys(found))


def read_archs(campaign: Campaign, path: Path) -> list[Architecture]:
    """Read architectures from a file.

    Parameters
    ----------
    path : pathlib.Path
        ``.json``: a list of ids, of objects of genes, or of objects with ``genes``, as ``front.json`` has them under ``points``.
        Otherwise a table (``.csv``, ``.tsv``, ``.parquet``) with a column a gene; empty cells are genes that are off, and
        further columns are left out.
    campaign : Campaign
        Whose space.

    Returns
    -------
    list of Architecture
        In the order of the file.

    Raises
    ------
    SpaceError
        If the file cannot be read, or holds something else; the error names the row.
    """
    if path.suffix == ".json":
        try:
            data = parse_json(read_text(path))
        except ReadingError as error:
            raise SpaceError(f"{str(path)!r} cannot be read: {error}.") from error
        rows = data.get("points") if isinstance(data, Mapping) else data
        if not isinstance(rows, list):
            raise SpaceError(f"{str(path)!r} holds no list of architectures.", hint="Give [{GENE: VALUE, …}, …].")
        return [_arch(campaign, row, f"{path.name}, entry {i}") for i, row in enumerate(rows)]
    try:
        table = read_parquet(path) if path.suffix == ".parquet" else read_delimited(path)
    except (TableError, ReadingError) as error:
        raise SpaceError(str(error)) from error
    names = [name for name in campaign.space.names if name in table.columns]
    if not names:
        raise SpaceError(
            f"{str(path)!r} has no column that is a gene of space {campaign.space.name!r}.",
            hint=f"Its genes are {', '.join(campaign.space.names[:6])}{' …' if len(campaign.space.names) > 6 else ''}.",
        )
    found = []
    for i, record in enumerate(table[names].to_dict("records")):
        genes = {name: _plain(value) for name, value in record.items() if not pd.isna(value)}
        found.append(_arch(campaign, genes, f"{path.name}, row {i}"))
    return found


def _arch(campaign: Campaign, row: object, where: str) -> Architecture:
    if isinstance(row, str):
        return find_arch(campaign, row)
    genes = row.get("genes", row) if isinstance(row, Mapping) else None
    if not isinstance(genes, Mapping) or not all(isinstance(v, (int, float, str)) for v in genes.values()):
        raise SpaceError(f"{where}: {str(row)[:60]} is no architecture.", hint="Give an id, or {GENE: VALUE, …}.")
    return campaign.space.architecture({str(k): v for k, v in genes.items()}, source=where)


def _plain(value: object) -> int | float | str:
    """Return a cell as a gene's value: whole numbers that a table made floats of, because cells are empty, are whole."""
    if isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]
    return int(number) if number.is_integer() else number

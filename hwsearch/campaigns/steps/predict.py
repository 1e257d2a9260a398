"""Predict: what the campaign's fitted predictors say of any subnets, beside what has been measured of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import feature_matrix, load_predictor, predictor_errors, predictor_path, shift_of
from hwsearch.campaigns.running import predict_widened
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
from predictors.coverage import FIELDS as COMPARED
from predictors.front import expected_front, near_front
from predictors.select import process_of

#: most subnets that are predicted at once
MOST = 1_000_000
#: subnets nearest to the predicted front of which joint errors are drawn
DRAWN = 1000


@dataclass(frozen=True)
class Predictions:
    """Predictions for some subnets, and how far they can be trusted.

    Attributes
    ----------
    frame : pandas.DataFrame
        A row a device and subnet: ``device``, ``arch_id``, ``genes``; of each metric (``accuracy``, ``latency_ms``, …) the
        prediction, ``METRIC_low``, ``METRIC_high``, and ``METRIC_measured``, what the search measured (NaN where it did not).
    running : pandas.DataFrame
        A row a predictor with which something measured after its fit was compared: ``metric``, ``device``, ``n``, ``inside``,
        ``below``, ``above``, ``coverage`` with ``low`` and ``high``, ``asked``, and the ``factor`` that intervals are widened by.
    front : pandas.DataFrame
        By device the subnets of which none of those asked for is predicted to be better in accuracy and latency:
        ``accuracy`` and ``latency_ms`` as predicted, and ``accuracy_expected`` and ``latency_ms_expected``, corrected for having
        been chosen. Empty where another predictor than a Gaussian process was fitted.
    warnings : list of str
        Sentences: intervals that had to be widened, and predictions that are extrapolations.
    """

    frame: pd.DataFrame
    running: pd.DataFrame
    front: pd.DataFrame
    warnings: list[str]


@one_blas_thread()
def predict_subnets(
    campaign: Campaign, archs: Sequence[Architecture], devices: Iterable[Target], coverage: float = 0.95
) -> Predictions:
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
    Predictions
        Predictions with their intervals, what was measured, the predicted fronts, and warnings.

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
    compared: list[dict[str, object]] = []
    warnings: list[str] = []

    def told(metric: str, device: str | None) -> dict[str, np.ndarray]:
        frame, found = predict_widened(campaign, known, metric, device, rows, coverage)
        where = f"{metric}{f' on {device}' if device else ''}"
        if found is not None:
            compared.append({"metric": metric, "device": device, **found.to_dict()})
        shift = shift_of(campaign, metric, device, rows)
        for said in (found and found.warning, shift and shift.warning):
            warnings.extend([f"{where}: {said}"] if said else [])
        scores = known.accuracy(Split.VALIDATION) if device is None else known.metric(device, metric)
        return _columns(metric, frame, numbers(scores, "value", ids))

    accuracy = told("accuracy", None)
    frames, fronts = [], []
    for target in devices:
        found = {"device": target.name, "arch_id": ids, "genes": [a.to_dict() for a in archs]} | accuracy
        for metric in campaign.device_metrics(target.name):
            if not predictor_path(campaign, metric, target.name).exists() and metric != "latency_ms":
                continue
            found |= told(metric, target.name)
        frames.append(pd.DataFrame(found))
        fronts.append(_front(campaign, target.name, archs, frames[-1]))
    return Predictions(
        pd.concat(frames, ignore_index=True),
        pd.DataFrame(compared, columns=["metric", "device", *COMPARED]),
        pd.concat(fronts, ignore_index=True),
        list(dict.fromkeys(warnings)),
    )


def _front(campaign: Campaign, device: str, archs: Sequence[Architecture], frame: pd.DataFrame) -> pd.DataFrame:
    """Predict which of the subnets are on a device's front, and of what value that is to be expected to be."""
    columns = ["device", "arch_id", "genes", "accuracy", "accuracy_expected", "latency_ms", "latency_ms_expected"]
    models = [process_of(load_predictor(campaign, m, d)) for m, d in (("accuracy", None), ("latency_ms", device))]
    accuracy, latency = models
    if accuracy is None or latency is None:
        return pd.DataFrame(columns=columns)
    both = frame[["accuracy", "latency_ms"]].to_numpy(dtype=np.float64)
    near = near_front(both * [-1.0, 1.0], DRAWN)
    X = feature_matrix(campaign, campaign.space.to_array([archs[i] for i in near]))
    with predictor_errors("the predicted front cannot be corrected"):
        found = expected_front([accuracy, latency], X, largest=(True, False))
    some = [archs[near[i]] for i in found.at]
    values = [found.predicted[:, 0], found.corrected[:, 0], found.predicted[:, 1], found.corrected[:, 1]]
    head = [device] * len(some), [a.id for a in some], [a.to_dict() for a in some]
    return pd.DataFrame(dict(zip(columns, [*head, *values], strict=True)))


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
        Ids that the campaign has seen, ``smallest``, ``largest``, or JSON objects of genes (others at their largest).
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

"""What a report is made of: plain values and frames, read from and written to JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hwsearch._json import shown_as_json
from hwsearch.errors import DataError
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.reporting.words import ScoreName

FORMAT = "hwsearch-report-1"
#: keys of `ReportData.accuracy_protocol` that name the score, and what holds where they are missing
DEFAULT_SCORE = {"metric": "top-1", "unit": "%", "label": "top-1 accuracy"}
ROLES = ("profile", "search", "random", "validated")

#: columns of `DeviceReport.points` and `.front`, with their kind; the first five must be given
POINT_COLUMNS: dict[str, str] = {
    "arch_id": "text",
    "role": "text",
    "genes": "object",
    "accuracy": "number",
    "latency_ms": "number",
    "accuracy_se": "number",
    "latency_low": "number",
    "latency_high": "number",
    "macs": "number",
    "params": "number",
    "predicted_accuracy": "number",
    "predicted_latency_ms": "number",
    "on_front": "flag",
    "evaluation": "number",
    "front_probability": "number",
}
REQUIRED = ("arch_id", "role", "genes", "accuracy", "latency_ms")
HYPERVOLUME_COLUMNS = ("evaluations", "search", "random_median", "random_low", "random_high")
RANDOM_COLUMNS = ("accuracy", "latency_ms")


def conform_points(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """A copy with exactly `POINT_COLUMNS`, in order; optional columns that are missing become NaN or False."""
    if len(frame.columns) == 0:
        frame = pd.DataFrame({c: [] for c in REQUIRED})
    missing = [c for c in REQUIRED if c not in frame.columns]
    if missing:
        raise DataError(f"{where} lacks the column {missing[0]!r}.", hint=f"Needed: {', '.join(REQUIRED)}.")
    out: dict[str, Any] = {}
    for name, kind in POINT_COLUMNS.items():
        given = list(frame[name]) if name in frame.columns else [None] * len(frame)
        if kind == "number":
            out[name] = np.array([_float(v, f"{where}, column {name!r}") for v in given], dtype=np.float64)
        elif kind == "flag":
            out[name] = np.array([False if v is None or v is pd.NA or v != v else bool(v) for v in given], dtype=bool)
        elif kind == "text":
            out[name] = pd.Series([str(v) for v in given], dtype=object)
        else:
            out[name] = pd.Series([dict(v) if isinstance(v, Mapping) else {} for v in given], dtype=object)
    unknown = sorted(set(out["role"]) - set(ROLES))
    if unknown:
        raise DataError(f"{where}: {unknown[0]!r} is not a role.", hint=f"Known: {', '.join(ROLES)}.")
    return pd.DataFrame(out)


def _conform_numbers(frame: pd.DataFrame, columns: tuple[str, ...], where: str) -> pd.DataFrame:
    """A copy with exactly these number columns; an empty frame may come without them."""
    missing = [c for c in columns if c not in frame.columns]
    if missing and len(frame):
        raise DataError(f"{where} lacks the column {missing[0]!r}.", hint=f"Needed: {', '.join(columns)}.")
    return pd.DataFrame(
        {
            c: np.array(
                [_float(v, f"{where}, column {c!r}") for v in (frame[c] if c in frame.columns else [])],
                dtype=np.float64,
            )
            for c in columns
        }
    )


def _float(value: Any, where: str) -> float:
    if value is None or value is pd.NA:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"{where}: {value!r} is not a number.") from None


@dataclass(eq=False)
class DeviceReport:
    """What was measured on one device.

    description : runtime, provider, provider_verified, threads, batch, precision, cpu, versions, fingerprint
    protocol : how latency was measured; ``confidence`` (default 0.9) is the level of latency_low and latency_high
    noise : noise and drift of the host, e.g. ``noise_percent``, ``drift_percent``
    points : everything measured; columns `POINT_COLUMNS`. accuracy and accuracy_se in percent: on the test images in rows
        of role ``validated``, on the validation images in all others;
        latency in ms (p50 with its interval). predicted_* are of a fit that did not see the row, else NaN
    front : the validated Pareto points, same columns
    picks : dicts with label, arch_id, file, sha256, size_bytes, genes, accuracy, accuracy_se,
        latency_ms, latency_low, latency_high, macs, params; size_bytes is that of all files, and further_files
        (dicts with file and sha256) are those after the first
    hypervolume : `HYPERVOLUME_COLUMNS`; shares (0 to 1) of the best hypervolume
    random_points : `RANDOM_COLUMNS` of uniformly drawn, measured subnets
    cross : other device -> share (0 to 1) of hypervolume kept when its picks run here
    """

    name: str
    description: dict[str, Any] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    noise: dict[str, Any] = field(default_factory=dict)
    points: pd.DataFrame = field(default_factory=pd.DataFrame)
    front: pd.DataFrame = field(default_factory=pd.DataFrame)
    picks: list[dict[str, Any]] = field(default_factory=list)
    hypervolume: pd.DataFrame = field(default_factory=pd.DataFrame)
    random_points: pd.DataFrame = field(default_factory=pd.DataFrame)
    cross: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.points = conform_points(self.points, f"points of device {self.name!r}")
        front = conform_points(self.front, f"front of device {self.name!r}")
        self.front = front.sort_values("latency_ms", kind="stable", ignore_index=True)
        self.hypervolume = _conform_numbers(self.hypervolume, HYPERVOLUME_COLUMNS, f"hypervolume of {self.name!r}")
        self.random_points = _conform_numbers(self.random_points, RANDOM_COLUMNS, f"random points of {self.name!r}")

    @property
    def confidence(self) -> float:
        """Level of the latency intervals."""
        return float(self.protocol.get("confidence", 0.9))

    def to_dict(self) -> dict[str, Any]:
        plain = {
            k: shown_as_json(getattr(self, k)) for k in ("name", "description", "protocol", "noise", "picks", "cross")
        }
        frames = {k: _table(getattr(self, k)) for k in ("points", "front", "hypervolume", "random_points")}
        return plain | frames

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DeviceReport:
        frames = {k: _frame(data.get(k)) for k in ("points", "front", "hypervolume", "random_points")}
        plain = {k: data[k] for k in ("description", "protocol", "noise", "picks", "cross") if data.get(k) is not None}
        return cls(name=str(data["name"]), **plain, **frames)


@dataclass(eq=False)
class ReportData:
    """All that the page and the figures show.

    created : UTC, ISO 8601
    supernet : card with name, subnets (count), macs_range [low, high], classes, licence, training,
        preprocess {mean, std, crop}, side (where subnets have no resolution gene)
    accuracy_protocol : how accuracy was measured; ``metric`` (default ``top-1``) names it,
        ``unit`` and ``label`` (the name on an axis) go with it
    provenance : versions, seeds, commands (list of shell lines that repeat the campaign), host
    predictors : dicts with metric, device, model, n_train, n_test, mae (in the metric's unit), mape (percent),
        spearman, kendall, coverage, nominal_coverage (shares)
    timings : stage -> seconds
    serving : one subnet for all devices: dicts with label, arch_id, accuracy, accuracy_se, share (of what counts as 1, see
        `serving_words`), and latency: device -> dict with latency_ms, low, high, share
    serving_words : what the shares are of
    """

    title: str
    campaign: str
    created: str
    supernet: dict[str, Any] = field(default_factory=dict)
    objectives: list[Objective] = field(default_factory=list)
    devices: list[DeviceReport] = field(default_factory=list)
    accuracy_protocol: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    predictors: list[dict[str, Any]] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    serving: list[dict[str, Any]] = field(default_factory=list)
    serving_words: str = ""

    @property
    def metric(self) -> ScoreName:
        """The name of the task's score, with its unit."""
        p = self.accuracy_protocol
        return ScoreName(*(str(p.get(key, other)) for key, other in DEFAULT_SCORE.items()))

    def to_dict(self) -> dict[str, Any]:
        data = {k: shown_as_json(v) for k, v in vars(self).items() if k not in ("objectives", "devices")}
        data["objectives"] = [_objective_to_dict(o) for o in self.objectives]
        data["devices"] = [d.to_dict() for d in self.devices]
        return {"format": FORMAT} | data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ReportData:
        if data.get("format") != FORMAT:
            raise DataError(
                f"report data has format {data.get('format')!r}, not {FORMAT!r}.", hint="Write the report again."
            )
        try:
            rest = {k: v for k, v in data.items() if k not in ("format", "objectives", "devices")}
            return cls(
                objectives=[_objective_from_dict(o) for o in data.get("objectives", [])],
                devices=[DeviceReport.from_dict(d) for d in data.get("devices", [])],
                **rest,
            )
        except (KeyError, TypeError) as error:
            raise DataError(f"report data is incomplete or has an unknown part: {error}.") from error

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ReportData:
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"report data is not JSON: {error}.") from error
        if not isinstance(data, dict):
            raise DataError(f"report data is a {type(data).__name__}, not an object.")
        return cls.from_dict(data)

    def save(self, path: Path) -> None:
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> ReportData:
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"cannot read {str(path)!r}: {error.strerror}.") from error


def _objective_to_dict(o: Objective) -> dict[str, Any]:
    limit = {"op": o.limit.op, "value": o.limit.value, "relative": o.limit.relative} if o.limit else None
    chance = {"probability": o.probability} if o.probability is not None else {}
    return {"metric": o.metric, "direction": o.direction, "device": o.device, "limit": limit} | chance


def _objective_from_dict(data: Mapping[str, Any]) -> Objective:
    limit = Limit(**data["limit"]) if data.get("limit") else None
    return Objective(data["metric"], data.get("direction") or "", data.get("device"), limit, data.get("probability"))


def _table(frame: pd.DataFrame) -> dict[str, Any]:
    columns = [str(c) for c in frame.columns]
    rows = [[shown_as_json(v) for v in row] for row in zip(*(frame[c].tolist() for c in frame.columns), strict=True)]
    return {"columns": columns, "rows": rows}


def _frame(data: Mapping[str, Any] | None) -> pd.DataFrame:
    if not data or not data.get("rows"):
        return pd.DataFrame()
    return pd.DataFrame(
        {c: pd.Series([row[i] for row in data["rows"]], dtype=object) for i, c in enumerate(data["columns"])}
    )

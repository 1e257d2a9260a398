"""The data of a report: plain values and frames, read from and written to JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from hwsearch._files import containing, write_file
from hwsearch._json import JsonObject, finite_or_none, shown_as_json
from hwsearch.errors import DataError
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.reporting.columns import HYPERVOLUME_COLUMNS, RANDOM_COLUMNS, conform_numbers, conform_points
from hwsearch.reporting.words import ScoreName
from latency_tables.reading import ReadingError, parse_json, read_text

FORMAT = "hwsearch-report-1"
#: keys of `ReportData.accuracy_protocol` that name the score, and what holds where they are missing
DEFAULT_SCORE = {"metric": "top-1", "unit": "%", "label": "top-1 accuracy"}

#: devices that are compared with each other and have figures of their own on the page, so that it grows with their number
MOST_COMPARED = 12
#: fields of `DeviceReport` that are plain values
PLAIN = ("description", "protocol", "noise", "measured_subnets", "picks", "cross", "trade_offs", "worth")


@dataclass(eq=False)
class DeviceReport:
    """Measurements of one device.

    Attributes
    ----------
    name : str
        The device.
    description : dict
        Runtime, provider, provider_verified, threads, batch, precision, cpu, versions, fingerprint.
    protocol : dict
        How latency was measured; ``confidence`` (default 0.95) is the level of latency_low and latency_high.
    noise : dict
        Of the latencies and the host, e.g. ``half_interval_percent``, ``host_spread_percent``.
    measured_subnets : dict of str to int
        How many different subnets have an ``accuracy`` and a ``latency_ms``, where `points` are some of them.
    points : pandas.DataFrame
        What is drawn of everything measured; columns `POINT_COLUMNS`. Accuracies are in percent: on the test examples in rows
        of role ``validated``, on the validation examples in all others. Latencies are in ms (median with its
        interval). Predicted values are of a fit that did not see the row, else NaN.
    front : pandas.DataFrame
        The validated Pareto points, same columns, sorted by latency.
    picks : list of dict
        Each with label, arch_id, file, sha256, size_bytes (of all files), further_files (file and sha256 of
        those after the first), genes, accuracy, accuracy_se, latency_ms, latency_low, latency_high, macs,
        params.
    hypervolume : pandas.DataFrame
        Columns `HYPERVOLUME_COLUMNS`: shares (0 to 1) of the best hypervolume.
    random_points : pandas.DataFrame
        Columns `RANDOM_COLUMNS`, of uniformly drawn, measured subnets.
    cross : dict of str to float
        For each other device, the share (0 to 1) of hypervolume that its picks keep here.
    trade_offs : list of dict
        One a pair of neighbours on the front, see `hwsearch.campaigns.steps.trade_offs`.
    worth : dict
        What the search proposed against random subnets, see `hwsearch.campaigns.steps.worth`.

    Raises
    ------
    DataError
        If a frame lacks a column, or a value is of the wrong kind.
    """

    name: str
    description: JsonObject = field(default_factory=dict)
    protocol: JsonObject = field(default_factory=dict)
    noise: JsonObject = field(default_factory=dict)
    measured_subnets: dict[str, int] = field(default_factory=dict)
    points: pd.DataFrame = field(default_factory=pd.DataFrame)
    front: pd.DataFrame = field(default_factory=pd.DataFrame)
    picks: list[JsonObject] = field(default_factory=list)
    hypervolume: pd.DataFrame = field(default_factory=pd.DataFrame)
    random_points: pd.DataFrame = field(default_factory=pd.DataFrame)
    cross: dict[str, float] = field(default_factory=dict)
    trade_offs: list[JsonObject] = field(default_factory=list)
    worth: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.points = conform_points(self.points, f"points of device {self.name!r}")
        front = conform_points(self.front, f"front of device {self.name!r}")
        self.front = front.sort_values("latency_ms", kind="stable", ignore_index=True)
        self.hypervolume = conform_numbers(self.hypervolume, HYPERVOLUME_COLUMNS, f"hypervolume of {self.name!r}")
        self.random_points = conform_numbers(self.random_points, RANDOM_COLUMNS, f"random points of {self.name!r}")

    @property
    def confidence(self) -> float:
        """Level of the latency intervals, 0 to 1."""
        return float(self.protocol.get("confidence", 0.95))

    def to_dict(self) -> JsonObject:
        """Describe the device's part by values that JSON knows.

        Returns
        -------
        dict
            Frames as ``columns`` and ``rows``; NaN as None.
        """
        plain = {k: shown_as_json(getattr(self, k)) for k in ("name", *PLAIN)}
        frames = {k: _table(getattr(self, k)) for k in ("points", "front", "hypervolume", "random_points")}
        return plain | frames

    @classmethod
    def from_dict(cls, data: JsonObject) -> DeviceReport:
        """Make the part that `to_dict` described.

        Parameters
        ----------
        data : mapping
            What `to_dict` gave.

        Returns
        -------
        DeviceReport
            An equal part.

        Raises
        ------
        KeyError
            If the name is missing.
        DataError
            If something is missing, unknown or of the wrong kind.
        """
        frames = {k: _frame(data.get(k)) for k in ("points", "front", "hypervolume", "random_points")}
        plain = {k: data[k] for k in PLAIN if data.get(k) is not None}
        return cls(name=str(data["name"]), **plain, **frames)


@dataclass(eq=False)
class ReportData:
    """All that the page and the figures show.

    Attributes
    ----------
    title : str
        Title of the page.
    campaign : str
        Name of the campaign.
    created : str
        Time in UTC, ISO 8601.
    supernet : dict
        Card with name, subnets (count), macs_range [low, high], classes, licence, training, preprocess
        {mean, std, crop}, side (where subnets have no resolution gene).
    objectives : list of Objective
        The campaign's objectives.
    devices : list of DeviceReport
        One part a device.
    accuracy_protocol : dict
        How accuracy was measured; ``metric`` (default ``top-1``) names it, ``unit`` and ``label`` (the
        name on an axis) go with it.
    provenance : dict
        Versions, seeds, commands (shell lines that repeat the campaign), host.
    warnings : list of str
        What a reader must know first.
    predictors : list of dict
        Each with metric, device, model, n_train, n_test, mae (in the metric's unit), mape (percent),
        spearman, kendall, coverage, coverage_low, coverage_high, nominal_coverage (shares); and of how it learns left_out,
        left_out_coverage, learning_curve and parts, as of `predictors.diagnosis`, and later_coverage.
    timings : dict of str to float
        Seconds by stage.
    serving : list of dict
        One subnet for all devices: label, arch_id, accuracy, accuracy_se, share, and latency: for each
        device latency_ms, low, high, share.
    serving_words : str
        What the shares of `serving` are of.
    assessment : dict
        What the supernet is worth, as of `hwsearch.reporting.assessment_result.read_assessment`.
    tasks : list of dict
        Further tasks of the largest subnet: name, classes (count), score, low, high (in the score's unit), examples, data;
        density, trained (shares of the backbone's weights, and of the task's), free (share that no task uses, once it was
        added), from (the earlier task whose mask it started from), bytes (of its file), backbone_bytes (of the weights of all),
        forgetting (in the score's unit), train_seconds, measured_at, file (its ONNX file, or None).

    Examples
    --------
    >>> from hwsearch.reporting import ReportData
    >>> report = ReportData("First front", "demo", "2026-01-31T12:00:00+00:00")
    >>> report.metric
    'top-1'
    >>> ReportData.from_json(report.to_json()).title
    'First front'
    """

    title: str
    campaign: str
    created: str
    supernet: JsonObject = field(default_factory=dict)
    objectives: list[Objective] = field(default_factory=list)
    devices: list[DeviceReport] = field(default_factory=list)
    accuracy_protocol: JsonObject = field(default_factory=dict)
    provenance: JsonObject = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    predictors: list[JsonObject] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    serving: list[JsonObject] = field(default_factory=list)
    serving_words: str = ""
    assessment: JsonObject = field(default_factory=dict)
    tasks: list[JsonObject] = field(default_factory=list)

    @property
    def metric(self) -> ScoreName:
        """Name of the task's score, with its unit."""
        p = self.accuracy_protocol
        return ScoreName(*(str(p.get(key, other)) for key, other in DEFAULT_SCORE.items()))

    def to_dict(self) -> JsonObject:
        """Describe the report by values that JSON knows.

        Returns
        -------
        dict
            With ``format``, which names the version of the form.
        """
        data = {k: shown_as_json(v) for k, v in vars(self).items() if k not in ("objectives", "devices")}
        data["objectives"] = [_objective_to_dict(o) for o in self.objectives]
        data["devices"] = [d.to_dict() for d in self.devices]
        return {"format": FORMAT} | data

    @classmethod
    def from_dict(cls, data: JsonObject) -> ReportData:
        """Make the report that `to_dict` described.

        Parameters
        ----------
        data : mapping
            What `to_dict` gave.

        Returns
        -------
        ReportData
            An equal report.

        Raises
        ------
        DataError
            If the format is another, or something is missing, unknown or of the wrong kind.
        """
        if data.get("format") != FORMAT:
            raise DataError(
                f"the data of a report have format {data.get('format')!r}, not {FORMAT!r}.",
                hint="Write the report again.",
            )
        try:
            rest = {k: v for k, v in data.items() if k not in ("format", "objectives", "devices")}
            return cls(
                objectives=[_objective_from_dict(o) for o in data.get("objectives", [])],
                devices=[DeviceReport.from_dict(d) for d in data.get("devices", [])],
                **rest,
            )
        except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError) as error:
            raise DataError(f"the data of a report lack a part, or have an unknown one: {error}.") from error

    def to_json(self) -> str:
        """Describe the report as JSON text.

        Returns
        -------
        str
            The text; NaN as null.
        """
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ReportData:
        """Make the report that `to_json` described.

        Parameters
        ----------
        text : str
            JSON text.

        Returns
        -------
        ReportData
            An equal report.

        Raises
        ------
        DataError
            If the text is not JSON, or not a report.
        """
        try:
            data = parse_json(text)
        except ReadingError as error:
            raise DataError(f"the data of a report are not JSON: {error}.") from error
        if not isinstance(data, dict):
            raise DataError(f"the data of a report must be a JSON object, got {type(data).__name__}.")
        return cls.from_dict(data)

    def save(self, path: Path) -> None:
        """Write the report to a file.

        Parameters
        ----------
        path : Path
            A .json file, UTF-8.

        Raises
        ------
        OutputError
            If there is a link, or a file that is not the data of a report.
        """
        write_file(Path(path), self.to_json().encode(), containing(FORMAT.encode()))

    @classmethod
    def load(cls, path: Path) -> ReportData:
        """Read a report from a file.

        Parameters
        ----------
        path : Path
            What `save` wrote.

        Returns
        -------
        ReportData
            The report.

        Raises
        ------
        DataError
            If the file cannot be read, or is not a report.
        """
        try:
            text = read_text(Path(path))
        except ReadingError as error:
            raise DataError(f"{error}.") from error
        return cls.from_json(text)


def _objective_to_dict(o: Objective) -> JsonObject:
    limit = {"op": o.limit.op, "value": o.limit.value, "relative": o.limit.relative} if o.limit else None
    chance = {"probability": o.probability} if o.probability is not None else {}
    return {"metric": o.metric, "direction": o.direction, "device": o.device, "limit": limit} | chance


def _objective_from_dict(data: JsonObject) -> Objective:
    limit = Limit(**data["limit"]) if data.get("limit") else None
    return Objective(data["metric"], data.get("direction") or "", data.get("device"), limit, data.get("probability"))


def _table(frame: pd.DataFrame) -> JsonObject:
    columns = [str(c) for c in frame.columns]
    rows = [[shown_as_json(v) for v in row] for row in zip(*(frame[c].tolist() for c in frame.columns), strict=True)]
    return {"columns": columns, "rows": rows}


def _frame(data: JsonObject | None) -> pd.DataFrame:
    if not data or not data.get("rows"):
        return pd.DataFrame()
    return pd.DataFrame(
        {c: pd.Series([_known(row[i]) for row in data["rows"]], dtype=object) for i, c in enumerate(data["columns"])}
    )


def _known(value: object) -> object:
    """Take an infinite number, which Python's JSON reads and ours never has, as one that is not known."""
    return finite_or_none(value) if isinstance(value, float) else value

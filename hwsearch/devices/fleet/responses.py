"""Responses of a measuring process, and their checks."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from hwsearch._json import JsonObject, is_number, is_shallow
from hwsearch.devices.fleet.jobs import WorkerJob, WorkerResponse
from hwsearch.devices.timing.sample import Sample
from hwsearch.errors import DeviceError, MeasurementError, ProviderError
from latency_tables.reading import ReadingError, parse_json

#: more than any host has
MOST_CORES = 100_000


class WorkerError(MeasurementError):
    """The measuring process itself failed: it crashed, hung, or its response was malformed.

    The device may be well: the job is worth another attempt, or one with fewer models.
    """


_ERRORS = {e.__name__: e for e in (DeviceError, ProviderError, MeasurementError, WorkerError)}


def parse_response(job: WorkerJob, text: str | bytes) -> WorkerResponse:
    """Read a worker's response and check it; see `validate_response`.

    Parameters
    ----------
    job : WorkerJob
        What was asked.
    text : str or bytes
        What came back.

    Returns
    -------
    WorkerResponse
        The response.

    Raises
    ------
    HwsearchError
        The typed error that the response carries, such as `DeviceError`.
    WorkerError
        If it is not JSON, or malformed.
    """
    try:
        response = parse_json(text)
    except ReadingError as error:
        raise WorkerError(f"Invalid worker response: it is not JSON: {error}.") from error
    return validate_response(job, response)


def validate_response(job: WorkerJob, response: object) -> WorkerResponse:
    """Return the worker's response unchanged if it is valid.

    Parameters
    ----------
    job : WorkerJob
        What was asked.
    response : object
        What came back, as parsed from JSON; nothing is taken for granted.

    Returns
    -------
    WorkerResponse
        The same object.

    Raises
    ------
    HwsearchError
        The typed error that the response carries, such as `DeviceError`.
    WorkerError
        If the response is malformed: about other workloads than asked for, or with numbers that no measurement has.
    """
    if not isinstance(response, dict):
        raise WorkerError(f"Invalid worker response: {str(response)[:80]!r} is not an object.")
    if not is_shallow(response):
        raise WorkerError("Invalid worker response: it is nested too deeply.")
    if "error" in response:
        kind = _ERRORS.get(str(response["error"]), DeviceError)
        raise kind(str(response.get("message")), hint=response.get("hint"))
    if job["do"] in ("facts", "verify"):
        wanted = "facts" if job["do"] == "facts" else "counts"
        if not isinstance(response.get(wanted), dict):
            raise WorkerError(f"Invalid worker response: it has no {wanted!r}.")
        run_ms = response.get("run_ms")
        if job["do"] == "verify":
            if not is_number(run_ms) or not run_ms > 0:
                raise WorkerError(f"Invalid worker response: run_ms is {run_ms!r}, which is not a time.")
            if not all(is_number(n) and n >= 0 for n in response["counts"].values()):
                raise WorkerError(f"Invalid worker response: counts are {response['counts']!r}.")
        return cast(WorkerResponse, response)
    cores = response.get("cores", 1)
    if not isinstance(cores, int) or not 1 <= cores <= MOST_CORES:
        raise WorkerError(f"Invalid worker response: cores is {str(cores)[:80]!r}, which is not a number of cores.")
    if not isinstance(response.get("cpu", ""), str):
        raise WorkerError(f"Invalid worker response: cpu is {str(response['cpu'])[:80]!r}, which is not a name.")
    rows, ids = response.get("rows"), [e["arch_id"] for e in job["workloads"]]
    if not isinstance(rows, list) or [r.get("arch_id") if isinstance(r, dict) else None for r in rows] != ids:
        raise WorkerError("Invalid worker response: it is about other models than those asked for.")
    _check_times(response)
    for row in rows:
        sample, metrics = row.get("sample"), row.get("metrics") or {}
        if not isinstance(sample, dict) or not isinstance(metrics, dict):
            raise WorkerError(f"Invalid worker response for {row['arch_id']}: sample and metrics are objects.")
        try:
            Sample.from_dict(sample)
        except MeasurementError as error:
            raise WorkerError(f"workload {row['arch_id']}: {error}") from error
        for name, number in metrics.items():
            if not is_number(number) or number < 0:
                raise WorkerError(f"Invalid worker response for {row['arch_id']}: {name} = {number!r}.")
    return cast(WorkerResponse, response)


def _check_times(response: JsonObject) -> None:
    """Refuse a response whose times and loads are not what a process writes."""
    load = response.get("load")
    if not isinstance(load, list) or len(load) != 2 or not all(x is None or is_number(x) for x in load):
        raise WorkerError(f"Invalid worker response: load is {load!r}, which is not two numbers.")
    for name in ("started_at", "ended_at"):
        try:
            datetime.fromisoformat(response[name])
        except (KeyError, TypeError, ValueError) as error:
            raise WorkerError(
                f"Invalid worker response: {name} is {response.get(name)!r}, which is no time."
            ) from error

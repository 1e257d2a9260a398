"""A measuring process: reads a job from a folder, measures, writes the answer there. It can die without harm to others.

``python -m hwsearch.devices.worker FOLDER`` reads ``job.json`` and the model files it names, prints the share of the work
done, one number a line, and leaves ``result.json``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from hwsearch.devices.device import Device, Model, Runtime, Session, Workload, create_runtime
from hwsearch.devices.protocol import Calibration, Protocol, Timing, measure_group
from hwsearch.errors import HwsearchError, MeasurementError
from hwsearch.inputs import Input

JOB, RESULT = "job.json", "result.json"


@dataclass(frozen=True)
class Batch:
    """Candidates that are measured together on one device, and all that this takes.

    reference : what runs between them
    metrics : what is measured besides the latency, as the runtime's ``footprint`` names it
    """

    device: Device
    protocol: Protocol
    reference: Workload
    workloads: tuple[Workload, ...]
    calibration: Calibration | None = None
    seed: int = 0
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What measuring a batch gave, in the order of its workloads.

    timings : latencies; footprints : further metrics by name, empty where the latency failed
    """

    timings: list[Timing]
    footprints: list[dict[str, float]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {"timings": [t.to_dict() for t in self.timings], "footprints": self.footprints}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], n: int) -> Answer:
        """Raises `MeasurementError` for anything that is not the answer to a batch of n."""
        timings, footprints = data.get("timings"), data.get("footprints")
        if (
            not isinstance(timings, list)
            or not isinstance(footprints, list)
            or not len(timings) == len(footprints) == n
        ):
            raise MeasurementError(f"the measuring process did not answer for all of its {n} models.")
        found = [{str(k): float(v) for k, v in f.items()} for f in footprints]
        return cls([Timing.from_dict(t) for t in timings], found)


def measure(batch: Batch, tick: Callable[[float], None] | None = None) -> Answer:
    """Measure a batch in this process."""
    runtime = create_runtime(batch.device)

    def loader(workload: Workload) -> Callable[[], Session]:
        return lambda: runtime.load(workload)

    timings = measure_group(
        [loader(w) for w in batch.workloads],
        loader(batch.reference),
        batch.protocol,
        np.random.default_rng(batch.seed),
        calibration=batch.calibration,
        tick=tick,
    )
    footprints = [
        _footprint(runtime, w, batch.metrics) if batch.metrics and t.failure is None else {}
        for w, t in zip(batch.workloads, timings, strict=True)
    ]
    return Answer(timings, footprints)


def _footprint(runtime: Runtime, workload: Workload, metrics: Sequence[str]) -> dict[str, float]:
    found = getattr(runtime, "footprint", lambda _: {})(workload)
    return {k: float(found[k]) for k in metrics if k in found}


# ---------------------------------------------------------------------- a batch in a folder
def write_batch(batch: Batch, folder: Path, modules: Mapping[str, Any] | None = None) -> None:
    """Write a batch and its model files; a model that several workloads share is written once.

    modules : for runtimes that take torch modules: the function that builds them again, and what it needs
    """
    names: dict[int, str] = {}

    def part(model: Model) -> dict[str, Any]:
        if id(model.onnx) not in names:
            names[id(model.onnx)] = f"{len(names)}.onnx"
            (folder / names[id(model.onnx)]).write_bytes(model.onnx)
        return {"inputs": [asdict(i) for i in model.inputs], "file": names[id(model.onnx)], "runs": model.runs}

    def described(w: Workload) -> dict[str, Any]:
        return {"parts": [part(m) for m in w.parts], "arch_id": w.arch_id, "genes": dict(w.genes)}

    job = {
        "device": {"name": batch.device.name, **batch.device.settings},
        "protocol": asdict(batch.protocol),
        "reference": described(batch.reference),
        "workloads": [described(w) for w in batch.workloads],
        "calibration": batch.calibration.to_dict() if batch.calibration else None,
        "seed": batch.seed,
        "metrics": list(batch.metrics),
        "modules": modules,
    }
    (folder / JOB).write_text(json.dumps(job), encoding="utf-8")


def read_batch(folder: Path) -> Batch:
    """The batch that `write_batch` wrote."""
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    build: Callable[..., Workload] | None = None
    if job["modules"]:
        place, _, name = job["modules"]["build"].partition(":")
        build = getattr(import_module(place), name)
    files: dict[str, bytes] = {}

    def model(data: Mapping[str, Any]) -> Model:
        name = data["file"]
        if name not in files:
            files[name] = (folder / name).read_bytes()
        inputs = tuple(Input(**{**i, "shape": tuple(i["shape"]), "axes": tuple(i["axes"])}) for i in data["inputs"])
        return Model(inputs, files[name], None, data["runs"])

    def workload(data: Mapping[str, Any]) -> Workload:
        if build is not None:
            return build(folder, job["modules"], data)
        return Workload(tuple(model(m) for m in data["parts"]), data["arch_id"], data["genes"])

    protocol = {**job["protocol"], "loads": tuple(job["protocol"]["loads"])}
    return Batch(
        Device(**job["device"]),
        Protocol(**protocol),
        workload(job["reference"]),
        tuple(workload(w) for w in job["workloads"]),
        Calibration.from_dict(job["calibration"]) if job["calibration"] else None,
        job["seed"],
        tuple(job["metrics"]),
    )


def main(folder: Path) -> int:
    """Measure the batch of a folder; a typed error is an answer too."""

    def tick(share: float) -> None:
        sys.stdout.write(f"{share:.4f}\n")
        sys.stdout.flush()

    try:
        result = measure(read_batch(folder), tick).to_dict()
    except HwsearchError as error:
        result = {**error.to_dict()}
    partial = folder / f".{RESULT}.partial"
    partial.write_text(json.dumps(result), encoding="utf-8")
    os.replace(partial, folder / RESULT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))

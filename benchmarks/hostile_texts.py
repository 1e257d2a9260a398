"""Kinds of text: configurations, recipes, tables, spaces, reports, cards, and what measuring programs answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.hostile_kinds import Kind
from benchmarks.hostile_mutations import repeated_gzip, within_gzip
from hwsearch import spaces
from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.loading import load_config, parse_config
from hwsearch.campaigns.toml import to_toml
from hwsearch.devices.device import Device
from hwsearch.devices.fleet.responses import parse_response
from hwsearch.devices.runtimes.command_answer import count_nodes, parse_answer, validate_answer
from hwsearch.devices.timing.sample import Sample
from hwsearch.devices.traces import Moment, read_trace, write_trace
from hwsearch.objectives.objective import Objective
from hwsearch.reporting import DeviceReport, ReportData
from hwsearch.tasks.text.glue import read_glue
from hwsearch.tasks.text.tokenizer import TextPreprocess
from hwsearch.testing.toy_spaces import small_space
from hwsearch.training.recipes import load_recipe, recipe_names, recipe_stages
from latency_tables.delimited import read_delimited
from latency_tables.reading import parse_toml

DEEP = b"[" * 100_000
TABLE = "kernel,depth,latency_ms\n" + "".join(f"{3 + 2 * (k % 3)},{k // 3},{1.5 + 0.25 * k}\n" for k in range(24))


def _config(folder: Path) -> Kind:
    config = CampaignConfig.model_validate(
        {
            "folder": "runs/ünïcode \"quoted\"",
            "device": [
                {"name": "cpu", "threads": 2, "options": {"optimization": "all", "x": 1.5, "y": True}},
                {"name": "gpu", "runtime": "cuda", "weight": 2.0},
            ],
            "objective": [{"metric": "accuracy", "limit": ">= 80"}, {"metric": "latency_ms"}],
            "search": {"tactic": "nsga2", "warm_start": ["runs/a", "runs/b"], "seed": 3},
            "fleet": {"deadline_s": 25.0},
        }
    )  # fmt: skip
    known = to_toml(config)

    def again(found: CampaignConfig) -> bool:
        return parse_config(parse_toml(to_toml(found)), "again") == found

    crafted = (b"a = " + DEEP, b"x = " + b"9" * 100_000, b"a" + b".a" * 5000 + b" = 1")
    return Kind(
        "campaign.toml", "campaign.toml", known.encode(), load_config, again, lambda c: bool(c == config), text=True, crafted=crafted
    )  # fmt: skip


def _recipe(folder: Path) -> Kind:
    from hwsearch.training import recipes

    data = (Path(recipes.__file__).parent / "recipes" / f"{recipe_names()[0]}.toml").read_bytes()

    def read(path: Path) -> Any:
        plan = load_recipe(path)
        return plan, [config for _, config in recipe_stages(plan, path)]

    def fits(found: Any) -> bool:
        return all(low <= getattr(c, name) <= high for c in found[1] for name, (low, high) in recipes.RANGES.items())

    known = load_recipe(recipe_names()[0])
    known = known, [config for _, config in recipe_stages(known, "recipe")]
    crafted = (
        b"supernet = " + DEEP,
        b"supernet = 'x'\nstage = [1]",
        b"supernet = ['x']\n[[stage]]",
        b"supernet = 'x'\n[[stage]]\ntraining = 1",
        b"supernet = 'x'\n[[stage]]\ntraining = { batch = 'many' }",
        b"supernet = 'x'\n[[stage]]\ntraining = { epochs = -1 }",
        b"supernet = 'x'\n[[stage]]\nstrategy = [1]",
        b"supernet = 'x'\n[[stage]]\nstrategy_options = { random = 'x' }",
    )
    return Kind(
        "recipe", "recipe.toml", data, read, fits, lambda r: bool(r == known), text=True, crafted=crafted
    )  # fmt: skip


def _space_table(folder: Path, name: str, file: str, separator: str) -> Kind:
    rows = "kernel,depth,activation\n" + "".join(f"{3 + 2 * (k % 3)},{k // 3},act{k % 2}\n" for k in range(24))
    data = rows.replace(",", separator).encode()
    path = folder / file
    path.write_bytes(gzip.compress(data) if file.endswith(".gz") else data)
    known = spaces.load(path)
    return Kind(
        name, file, path.read_bytes(), spaces.load, lambda s: spaces.from_json(s.to_json()) == s, lambda s: bool(s == known), text=True
    )  # fmt: skip


def _space_json(folder: Path) -> Kind:
    known = small_space()
    crafted = (
        DEEP,
        b'{"name": "x", "choices": ' + DEEP,
        b'{"name": "x", "choices": [{"name": "a", "values": [' + b"9" * 100_000 + b"]}]}",
    )
    return Kind(
        "space.json", "space.json", known.to_json().encode(), spaces.load,
        lambda s: spaces.from_json(s.to_json()) == s, lambda s: bool(s == known), text=True, crafted=crafted,
    )  # fmt: skip


def _delimited(folder: Path, name: str, file: str) -> Kind:
    data = TABLE.encode()
    packed = file.endswith(".gz")
    known = pd.DataFrame(
        [[3 + 2 * (k % 3), k // 3, 1.5 + 0.25 * k] for k in range(24)], columns=["kernel", "depth", "latency_ms"]
    )
    known = known.astype({"kernel": "int64", "depth": "int64"})
    bombs = (partial(repeated_gzip, b"a,b\n", b"1,2\n", 300_000_000),) if packed else ()
    return Kind(
        name, file, gzip.compress(data) if packed else data, read_delimited, lambda f: len(f.columns) > 0, lambda f: bool(f.equals(known)),
        text=not packed, checksum=packed, repack=within_gzip if packed else None, crafted=bombs,
    )  # fmt: skip


def _trace(folder: Path) -> Kind:
    path = folder / "host.csv.gz"
    moments = [Moment(*(float(k + i + 1) for i in range(len(Moment._fields)))) for k in range(50)]
    write_trace(moments, path)
    head = ",".join(Moment._fields).encode() + b"\n"
    bombs = (partial(repeated_gzip, head, b"1" + b",1" * (len(Moment._fields) - 1) + b"\n", 150_000_000),)
    return Kind(
        "trace", path.name, path.read_bytes(), read_trace, lambda m: all(x.latency_ms > 0 for x in m), lambda m: bool(m == moments),
        checksum=True, repack=within_gzip, crafted=bombs,
    )  # fmt: skip


def _report(folder: Path) -> Kind:
    points = pd.DataFrame(
        {
            "arch_id": ["a", "b"],
            "role": ["profile", "validated"],
            "genes": [{"d": 1}, {"d": 2}],
            "accuracy": [80.0, 82.5],
            "latency_ms": [1.0, 2.0],
            "low": [0.9, 1.9],
            "high": [1.1, 2.1],
        }
    )
    report = ReportData(
        "Title", "demo", "2026-01-31T12:00:00+00:00", {"name": "net", "macs_range": [1.0, 2.0]}, [Objective("accuracy"), Objective("latency_ms", device="cpu")],
        [DeviceReport("cpu", {"runtime": "onnxruntime"}, {"confidence": 0.95}, points=points, front=points)], warnings=["look out"], timings={"profile": 3.5},
    )  # fmt: skip
    known = report.to_json()
    crafted = (DEEP, b'{"format": ' + b"9" * 100_000 + b"}")
    return Kind(
        "report.json", "report.json", known.encode(), ReportData.load, lambda r: ReportData.from_json(r.to_json()).to_json() == r.to_json(),
        lambda r: bool(r.to_json() == known), text=True, crafted=crafted,
    )  # fmt: skip


def _answer(folder: Path) -> Kind:
    answer = {
        "provider": "CPU",
        "latency_ms": [1.5, 1.25, 1.75],
        "peak_memory_mib": 30.5,
        "energy_mj": 4.0,
        "nodes": {"CPU": 12},
    }
    device = Device("board", "command", "CPU", options={"command": "x"})

    def read(path: Path) -> dict[str, Any]:
        found = parse_answer(device, ["x"], path.read_bytes().decode("utf-8", "replace"), "")
        count_nodes(device, ["x"], validate_answer(device, ["x"], found, 3))
        return found

    def fits(found: dict[str, Any]) -> bool:
        return all(0 < t < float("inf") for t in found["latency_ms"]) and len(found["latency_ms"]) == 3

    crafted = (
        DEEP,
        b'{"latency_ms": [' + b"9" * 100_000 + b"]}",
        b'{"provider": "CPU", "latency_ms": [1, 1, 1' + b"0" * 400 + b"]}",
    )
    return Kind(
        "answer",
        "answer.json",
        json.dumps(answer).encode(),
        read,
        fits,
        lambda a: bool(a == answer),
        text=True,
        crafted=crafted,
    )


def _response(folder: Path) -> Kind:
    values = np.array([1.0, 1.25])
    sample = Sample(
        ratio=values,
        reference=1.5,
        reference_error=0.01,
        levels=values,
        raw=values,
        minima=values,
        runs=np.array([4.0, 4.0]),
    )
    response = {
        "rows": [{"arch_id": "a", "sample": sample.to_dict(), "metrics": {"energy_mj": 1.5}}],
        "load": [0.5, None],
        "started_at": "2026-01-01T00:00:00+00:00",
        "ended_at": "2026-01-01T00:00:05+00:00",
        "cpu": "a processor",
    }
    job: Any = {"do": "measure", "workloads": [{"arch_id": "a"}]}

    def read(path: Path) -> Any:
        return parse_response(job, path.read_bytes().decode("utf-8", "replace"))

    def fits(found: Any) -> bool:
        again = Sample.from_dict(found["rows"][0]["sample"])
        return again.failure is not None or bool(
            (again.ratio > 0).all() and np.isfinite(again.ratio).all() and again.reference > 0
        )

    crafted = (DEEP, b'{"rows": ' + b"9" * 100_000 + b"}")
    return Kind(
        "response",
        "response.json",
        json.dumps(response).encode(),
        read,
        fits,
        lambda r: bool(r == response),
        text=True,
        crafted=crafted,
    )


def _glue(folder: Path) -> Kind:
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", ".")

    def beside(place: Path) -> None:
        (place / "vocab.txt").write_text("\n".join(words) + "\n")

    def read(path: Path) -> Any:
        data = read_glue(str(path), TextPreprocess(), limit=100)
        return data.labels.tolist(), data.digest

    lines = "sentence\tlabel\n" + "".join(f"{'good' if k % 2 else 'bad'} film .\t{k % 2}\n" for k in range(12))
    place = folder / "glue"
    place.mkdir(exist_ok=True)
    beside(place)
    (place / "dev.tsv").write_text(lines)
    known = read(place / "dev.tsv")
    return Kind(
        "glue", "dev.tsv", lines.encode(), read, lambda f: set(f[0]) <= {0, 1}, lambda f: bool(f == known), text=True, beside=beside
    )  # fmt: skip


KINDS: dict[str, Callable[[Path], Kind]] = {
    "campaign.toml": _config,
    "recipe": _recipe,
    "space.csv": partial(_space_table, name="space.csv", file="toy.csv", separator=","),
    "space.tsv": partial(_space_table, name="space.tsv", file="toy.tsv", separator="\t"),
    "space.json": _space_json,
    "table.csv": partial(_delimited, name="table.csv", file="table.csv"),
    "table.csv.gz": partial(_delimited, name="table.csv.gz", file="table.csv.gz"),
    "trace": _trace,
    "report.json": _report,
    "answer": _answer,
    "response": _response,
    "glue": _glue,
}

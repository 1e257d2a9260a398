"""The frame of benchmarks: every benchmark offers it, and a small one goes through it end to end."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import shlex
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import benchmarks
from benchmarks.frame import OWN_KEYS, Benchmark, Result, Run, bars, curves

#: modules that are parts of the benchmarks `claims`, `gpu`, `hostile`, `kills`, `predictors`, `search`, `store` and `training`, and the frame itself
PARTS = {
    "certified_ground",
    "claim",
    "claims_assemble",
    "claims_certified",
    "claims_ensemble",
    "claims_generator",
    "claims_grow",
    "claims_planning",
    "claims_prune",
    "claims_skeleton",
    "claims_tasks",
    "frame",
    "gpu_parts",
    "gpu_training",
    "hostile_arrays",
    "hostile_data",
    "hostile_kinds",
    "hostile_mutations",
    "hostile_pairs",
    "hostile_pool",
    "hostile_texts",
    "kills_seen",
    "kills_works",
    "predictors_data",
    "predictors_fidelity",
    "predictors_here",
    "predictors_rivals",
    "prune_arms",
    "search_busy",
    "search_figures",
    "search_nb201",
    "search_ofa",
    "search_plots",
    "search_rivals",
    "search_runs",
    "search_task",
    "search_tasks",
    "search_text",
    "task_arms",
    "store_campaign",
    "training_arms",
    "training_claims",
    "training_ground",
    "training_growth",
    "training_pieces",
}
NAMES = sorted(p.stem for p in Path(benchmarks.__path__[0]).glob("*.py") if not p.stem.startswith("_"))


def test_the_list_of_benchmarks_is_the_known_one() -> None:
    assert set(NAMES) - PARTS == {
        "accuracy_budget",
        "claims",
        "demo",
        "distributed",
        "export",
        "fleet",
        "gpu",
        "hostile",
        "kernels",
        "kills",
        "latency",
        "latency_operators",
        "latency_simulated",
        "mutants",
        "predictors",
        "predictors_transfer",
        "search",
        "search_memory",
        "search_new_device",
        "search_real",
        "search_replicas",
        "search_resume",
        "search_fidelity",
        "search_screening",
        "store",
        "supernets",
        "training",
        "training_images",
        "weights",
    }


@pytest.mark.parametrize("name", sorted(set(NAMES) - PARTS))
def test_every_benchmark_offers_the_frame(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    benchmark = module.BENCHMARK
    assert isinstance(benchmark, Benchmark)
    assert benchmark.name == name and benchmark.title and benchmark.quick
    args = benchmark.parser().parse_args(["--quick", "--json"])
    assert args.quick and args.json and args.folder == Path("runs/bench") / name
    assert f"python -m benchmarks.{name} [--quick] [--json]" in (module.__doc__ or "")
    assert "BENCHMARK.main()" in Path(module.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(Path(benchmarks.__path__[0]).glob("*.py")), ids=lambda p: p.stem)
def test_what_a_benchmark_takes_from_the_tests_is_there(path: Path) -> None:
    """Also what is imported within a function, which loading the benchmark does not show; and attributes of such modules."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
            for alias in node.names:
                found = getattr(importlib.import_module(node.module or ""), alias.name, None)
                if found is None:
                    found = importlib.import_module(f"{node.module}.{alias.name}")
                name = alias.asname or alias.name
                used = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
                for attribute in {n.attr for n in used if n.value.id == name}:  # type: ignore[attr-defined]
                    if isinstance(found, ModuleType):
                        assert hasattr(found, attribute), f"{path.name}: {node.module}.{alias.name} has no {attribute}"


def fake(result: Result | None = None) -> Benchmark:
    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--size", type=int, default=3)
        parser.add_argument("--seed", type=int, default=7)

    def run(given: Run) -> Result:
        if given.args.size < 0:
            given.refuse("--size must not be negative.")
        given.say("under way")
        n = 1 if given.quick else given.args.size
        table = pd.DataFrame({"name": [f"row {k}" for k in range(n)], "value": np.arange(n) * 1.5})
        return result or Result(
            summary={"rows": n, "largest": float(table["value"].max()), "nothing": float("nan")},
            table=table,
            details={"each": {3: np.arange(2)}},
        )

    return Benchmark("fake", "What nobody measures", "one row", run, options)


def test_a_benchmark_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "with blank"
    assert fake().main(["--json", "--folder", str(folder), "--size", "2"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == "under way\n"
    assert set(found) == {*OWN_KEYS, "each"}
    assert found["summary"] == {"rows": 2, "largest": 1.5, "nothing": None}
    assert found["each"] == {"3": [0, 1]} and found["seed"] == 7 and found["quick"] is False
    assert found["versions"]["numpy"] == np.__version__ and found["host"]["cores"] >= 1
    assert json.loads((folder / "result.json").read_text()) == found
    assert pd.read_csv(folder / "table.csv")["value"].tolist() == [0.0, 1.5]
    assert {Path(p).name for p in found["files"]} == {
        "result.json",
        "table.csv",
        "fake.svg",
        "fake.png",
        "command.txt",
    }
    assert all(Path(p).stat().st_size for p in found["files"])
    words = shlex.split((folder / "command.txt").read_text())
    assert words == ["python", "-m", "benchmarks.fake", "--json", "--folder", str(folder), "--size", "2"]


def test_text_names_summary_files_and_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fake().main(["--quick", "--folder", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "row 0" in out and "row 1" not in out
    assert "rows     1" in out and "nothing  -" in out
    assert f"again: python -m benchmarks.fake --quick --folder {tmp_path}" in out
    told = Result({"rows": 0}, pd.DataFrame({"a": []}), text="instead of the table", ok=False)
    assert fake(told).main(["--folder", str(tmp_path)]) == 1
    assert "instead of the table" in capsys.readouterr().out


def test_wrong_options_and_taken_keys_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fake().main(["--size", "-1", "--folder", str(tmp_path)])
    assert "--size must not be negative." in capsys.readouterr().err
    with pytest.raises(ValueError, match="use the frame's key 'seconds'"):
        fake(Result({}, pd.DataFrame(), {"seconds": 3})).main(["--folder", str(tmp_path)])


def test_plots_of_tables_without_numbers_or_rows(tmp_path: Path) -> None:
    assert len(bars(pd.DataFrame({"a": ["x"]}), tmp_path, "texts", "t")) == 2
    empty = pd.DataFrame({"n": [], "v": [], "of": []})
    assert len(curves(empty, tmp_path, "empty", "t", x="n", y="v", by="of")) == 2

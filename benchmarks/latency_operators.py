"""Whether the sum of operators tells the latency of the whole: on the embedded supernet, ONNX Runtime, one thread.

    python -m benchmarks.latency_operators [--quick] [--json] [--folder DIR]

The signatures of the space are found by running a covering set once each; random architectures show what it misses. All
are measured on few of the architectures. Other random architectures, spread evenly over MACs, are measured as wholes by
the product's protocol, in two passes. ``operator_sum_rank``: Spearman of the sum of looked-up operators with the whole;
``operator_mape_pct``: mean absolute error in percent after a linear correction fitted on 30 wholes, on the others. Beside
them the same of MACs, of the number of parameters and of the number of kernels, and of the second pass of wholes, which
tells what measuring itself allows.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.frame import Benchmark, Result, Run
from hwsearch.devices import Device, TimingProtocol, Workload, create_runtime, measure_group
from hwsearch.devices.profiler import count_signatures
from hwsearch.devices.runtimes.onnxruntime import OnnxRuntime
from hwsearch.devices.timing.covering import choose, covering_set, uncovered
from hwsearch.devices.timing.level import host_level
from hwsearch.devices.timing.operator_profile import profile_operators
from hwsearch.devices.timing.operator_sums import FITTED, agreement, sums
from hwsearch.devices.timing.ratios import visits_of
from hwsearch.exporters import lower
from hwsearch.reporting.figures.operators import operators_figure
from hwsearch.reporting.style import save
from hwsearch.spaces import Architecture
from hwsearch.supernets import catalogue

#: corrections fitted on different wholes, over which the errors are averaged
SPLITS = 50


class Space:
    """The embedded supernet, its models and their signatures."""

    def __init__(self) -> None:
        self.net = catalogue.entry("cifar10-mbv3").build().eval()
        runtime = create_runtime(Device("bench"))
        assert isinstance(runtime, OnnxRuntime)
        self.runtime = runtime

    def work(self, arch: Architecture) -> Workload:
        shape = self.net.input_shape(arch)
        return Workload.of(bytes(lower(self.net.subnet(arch).eval(), shape).SerializeToString()), shape)

    def counts(self, archs: list[Architecture]) -> dict[str, dict[str, int]]:
        """Signatures of each architecture by id."""
        return {a.id: {s.id: n for s, n in count_signatures(self.runtime, self.work(a)).items()} for a in archs}

    def balanced(self, n: int, seed: int) -> list[Architecture]:
        return self.net.space.sample_balanced(n, np.random.default_rng(seed), self.net.macs_array)

    def wholes(
        self, archs: list[Architecture], reference: Architecture, seed: int, until: float = math.inf
    ) -> np.ndarray:
        """(n,) latencies in ms, in groups drawn at random, at the host's typical level over all groups; NaN of those after a time."""
        rng, protocol = np.random.default_rng(seed), TimingProtocol()
        ratios, visits = np.full(len(archs), np.nan), []
        load = lambda arch: partial(self.runtime.load, self.work(arch))  # noqa: E731
        order = rng.permutation(len(archs))
        for group in np.array_split(order, -(-len(archs) // protocol.group)):
            if time.monotonic() > until:
                break
            timings = measure_group([load(archs[i]) for i in group], load(reference), protocol, rng)
            ratios[group] = [t.value / t.typical for t in timings]
            visits += visits_of(timings[0].looks)
        return ratios * host_level(visits).typical_ms


def averaged(x: np.ndarray, whole: np.ndarray) -> dict:
    """`agreement`, with the error averaged over several choices of the wholes that the correction is fitted on."""
    found = [agreement(x, whole, np.random.default_rng(seed), fitted=FITTED) for seed in range(SPLITS)]
    return found[0] | {"mape_pct": float(np.mean([f["mape_pct"] for f in found]))}


def measured(quick: bool, say: Callable[[str], None]) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    """(figures, wholes, milliseconds by kind)."""
    space, rng, began = Space(), np.random.default_rng(0), time.monotonic()
    covers = covering_set(space.net.space, rng, limit=40 if quick else 200)
    inside = space.counts(covers)
    table = {s for found in inside.values() for s in found}
    say(f"{len(table)} signatures in {len(covers)} covering architectures")
    drawn = space.net.space.sample(20 if quick else 400, rng, exclude=covers)
    outside = space.counts(drawn)
    missed = uncovered(table, list(outside.values()))
    say(f"{missed.with_unknown} of {missed.drawn} random architectures ask for others, {missed.unknown} in all")
    reference = space.balanced(3, 0)[2]
    archs = space.net.space.sample_balanced(
        40 if quick else 200, np.random.default_rng(1), space.net.macs_array, exclude=[*covers, *drawn]
    )
    counts = space.counts(archs)
    by_id = {a.id: a for a in (*covers, *drawn)}
    asked = table.union(*outside.values())
    chosen = choose(inside | outside, asked, times=1 if quick else 2)
    started = time.monotonic()
    session = profile_operators(
        space.runtime,
        [partial(space.work, by_id[i]) for i in chosen],
        partial(space.work, reference),
        rng,
        rounds=2 if quick else 5,
    )
    profiled_s = time.monotonic() - started
    say(f"{len(asked)} signatures measured on {len(chosen)} architectures in {profiled_s:.0f} s")
    ms = {k: o.ms for k, o in session.operators.items()}
    passes = [space.wholes(archs, reference, seed) for seed in range(1 if quick else 2)]
    whole = np.exp(np.mean(np.log(passes), axis=0))
    x = sums(ms, [counts[a.id] for a in archs])
    known = np.isfinite(x)
    rows = space.net.space.to_array(archs)
    rivals = {
        "operators": x,
        "macs": space.net.macs_array(rows),
        "params": space.net.params_array(rows),
        "kernels": np.array([sum(counts[a.id].values()) for a in archs], float),
    }
    table_rows = {k: averaged(v[known], whole[known]) for k, v in rivals.items()}
    if len(passes) > 1:
        table_rows["second pass"] = averaged(passes[1][known], passes[0][known])
    said = table_rows["operators"]
    wholes = pd.DataFrame({"arch_id": [a.id for a in archs], "latency_ms": whole, "operator_sum_ms": x})
    kinds: list[dict[str, float]] = []
    for arch in archs:
        own: dict[str, float] = {}
        for s, times in counts[arch.id].items():
            if s in session.operators:
                kind = session.operators[s].signature.kind
                own[kind] = own.get(kind, 0.0) + times * ms[s]
        kinds.append(own)
    result = {
        "operator_sum_rank": said["rank"],
        "operator_mape_pct": said["mape_pct"],
        "operator_slope": said["slope"],
        "operator_offset_ms": said["offset_ms"],
        "operator_wholes": int(known.sum()),
        "operator_wholes_unknown": int((~known).sum()),
        "operator_signatures": len(asked),
        "operator_covering": len(covers),
        "operator_profiled": len(chosen),
        "operator_profiler_us": 1e3 * session.profiler_ms,
        "operator_profile_s": profiled_s,
        "operator_uncovered": asdict(missed),
        "operator_rivals": {k: {"rank": v["rank"], "mape_pct": v["mape_pct"]} for k, v in table_rows.items()},
        "operator_seconds": time.monotonic() - began,
    }
    keep = np.flatnonzero(known)
    return result | {"operator_agreement": said}, wholes.iloc[keep], pd.DataFrame(kinds).fillna(0.0).iloc[keep]


# ---------------------------------------------------------------------- output
def plot(wholes: pd.DataFrame, kinds: pd.DataFrame, said: dict, folder: Path) -> list[Path]:
    """Draw the sums against the wholes."""
    return save(operators_figure(wholes, kinds, said, "this CPU"), folder, "latency_operators")


SUMMARY = ("operator_sum_rank", "operator_mape_pct")


def text(result: dict) -> str:
    """Describe the result for people."""
    lines = [f"{'':14s} {'rank':>7s} {'MAPE %':>7s}"]
    lines += [f"{n:14s} {row['rank']:7.4f} {row['mape_pct']:7.2f}" for n, row in result["operator_rivals"].items()]
    missed = result["operator_uncovered"]
    lines.append(
        f"targets: operators' rank >= 0.98, MAPE <= 2.5 %\n"
        f"{result['operator_signatures']} signatures from {result['operator_covering']} covering architectures, measured on "
        f"{result['operator_profiled']} in {result['operator_profile_s']:.0f} s; the profiler adds "
        f"{result['operator_profiler_us']:.1f} us to a kernel\n"
        f"{missed['with_unknown']} of {missed['drawn']} random architectures ask for {missed['unknown']} further signatures; "
        f"at most {100 * missed['share_high']:.1f} % do (95 % limit)"
    )
    return "\n".join(lines)


def run(given: Run) -> Result:
    """Measure operators and wholes, and compare the sums."""
    result, wholes, kinds = measured(given.quick, given.say)
    agreement_found = result.pop("operator_agreement")
    table = pd.DataFrame([{"predictor": name} | row for name, row in result["operator_rivals"].items()])
    return Result(
        {name: result[name] for name in SUMMARY},
        table,
        {k: v for k, v in result.items() if k not in SUMMARY},
        lambda folder: plot(wholes, kinds, agreement_found, folder),
        text(result),
    )


BENCHMARK = Benchmark(
    "latency_operators", "Sums of operators against whole latencies", "fewer architectures and rounds", run
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())

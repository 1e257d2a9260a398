"""Operator tables: which kernels a search space can ask for, what each takes, and whether their sum is the whole."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta, spearmanr

from hwsearch.devices import Workload
from hwsearch.devices.onnxruntime import OnnxRuntime
from hwsearch.devices.operators import Profile, Signature, profile, signatures
from hwsearch.devices.protocol import QUIET, two_way
from hwsearch.engine.campaign import Campaign, Target
from hwsearch.engine.fleet import quiet_host
from hwsearch.engine.measuring import find_latency, workload
from hwsearch.errors import DeviceError, MeasurementError
from hwsearch.metrics import computed_metrics
from hwsearch.report.operators import operators_figure
from hwsearch.report.style import save
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.store import Measurement

FloatArray = NDArray[np.float64]
Tick = Callable[[float], None]

#: how operators are measured, as the store names it
PROTOCOL = "profile1: starts, 4 rounds x 50 runs"
ROUNDS, RUNS = 4, 50
#: rounds have one visit to the reference for so many others
REFERENCE_EACH = 8
#: most architectures of a covering set, those drawn to see what it has missed, wholes that a correction is fitted on
COVERING, DRAWN, FITTED = 200, 100, 30
#: values of all genes of a space above which a covering set holds pairs, not triples
WIDEST = 400


# ---------------------------------------------------------------------- what a space can ask for
def covering(
    space: SearchSpace, rng: np.random.Generator, *, limit: int = COVERING, pool: int = 1000
) -> list[Architecture]:
    """Architectures that hold, together, the combinations of any three gene values that occur in the space.

    A covering array of strength three (two in spaces of more than `WIDEST` values, the whole of small ones), chosen greedily from `pool` candidates as AETG
    does (Cohen, Dalal, Fredman and Patton 1997, doi 10.1109/32.605761), the extremes first. A kernel's shapes depend on
    few genes (input size, expansion and kernel of one layer, the depth that switches it on), so few are missed; what is
    left out when `limit` ends are combinations of the last ones, each in one candidate.
    """
    if space.cardinality <= limit:
        return list(space.enumerate())
    rows = np.unique(np.concatenate([_ends(space), _candidates(space, pool, rng)]), axis=0)
    first = {tuple(r) for r in _ends(space)}
    offsets = np.concatenate([[0], np.cumsum(space.sizes)[:-1]])
    width = int(space.sizes.sum())
    strength = min(len(space.sizes), 3 if width <= WIDEST else 2)
    genes = np.array(list(itertools.combinations(range(len(space.sizes)), strength)))
    place = width ** np.arange(strength)

    def combinations(row: NDArray[np.int64]) -> NDArray[np.int64]:
        chosen = row[genes]
        return np.asarray(((chosen + offsets[genes]) @ place)[(chosen >= 0).all(axis=1)])

    covered = np.zeros(width**strength, dtype=bool)
    taken: list[int] = []

    def take(k: int) -> None:
        covered[combinations(rows[k])] = True
        taken.append(k)

    for k, row in enumerate(rows):
        if tuple(row) in first:
            take(k)
    # a gain can only shrink, so an old one is a bound (lazy greedy, Minoux 1978)
    heap = [(-len(genes), k) for k in range(len(rows)) if k not in taken]
    heapq.heapify(heap)
    while heap and len(taken) < limit:
        _, k = heapq.heappop(heap)
        gain = int((~covered[combinations(rows[k])]).sum())
        if not gain:
            continue
        if heap and gain < -heap[0][0]:
            heapq.heappush(heap, (-gain, k))
        else:
            take(k)
    return space.from_array(rows[taken])


def _ends(space: SearchSpace) -> NDArray[np.int64]:
    return space.canonical(np.stack([np.zeros_like(space.sizes), space.sizes - 1]))


def _candidates(space: SearchSpace, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Half with uniform genes; half with parents of conditional genes at later values, which as a rule switch more on."""
    rows = rng.integers(0, space.sizes, size=(n, len(space.sizes)))
    parents = [i for i, name in enumerate(space.names) if any(c.when and c.when.name == name for c in space.choices)]
    for i in parents:
        rows[n // 2 :, i] = np.maximum(rows[n // 2 :, i], rng.integers(0, space.sizes[i], size=n - n // 2))
    return space.canonical(rows)


@dataclass(frozen=True)
class Uncovered:
    """What architectures drawn at random ask for that a table of signatures does not have.

    drawn, with_unknown : architectures, and those with a signature that is not there; unknown : such signatures
    share_high : 95 % limit of the share of architectures with one (Clopper and Pearson 1934)
    expected_new : signatures that one more architecture would add, once those found are added (Good 1953, as Turing's)
    """

    drawn: int
    with_unknown: int
    unknown: int
    share_high: float
    expected_new: float


def uncovered(known: Iterable[str], drawn: Sequence[Mapping[str, int]]) -> Uncovered:
    """Estimate from independent uniform architectures; drawn : the signatures of each, by id."""
    have = set(known)
    times = Counter(s for counts in drawn for s in counts if s not in have)
    n, wrong = len(drawn), sum(any(s not in have for s in counts) for counts in drawn)
    high = 1.0 if wrong == n else float(beta.ppf(0.95, wrong + 1, n - wrong))
    once = sum(t == 1 for t in times.values())
    return Uncovered(n, wrong, len(times), high, once / n if n else math.inf)


def choose(counts: Mapping[str, Mapping[str, int]], missing: Iterable[str], *, times: int = 2) -> list[str]:
    """Few architectures in which every missing signature occurs, in `times` of them where so many have it.

    Greedy set cover (Chvátal 1979): within a factor ln(n) + 1 of the fewest. counts : signatures of each, by id
    """
    have = Counter(s for found in counts.values() for s in found)
    left = {s: min(times, have[s]) for s in missing if have[s]}
    free = dict.fromkeys(sorted(counts))
    taken: list[str] = []
    while any(left.values()):
        best = max(free, key=lambda a: sum(left.get(s, 0) > 0 for s in counts[a]))
        del free[best]
        taken.append(best)
        for s in counts[best]:
            if left.get(s, 0) > 0:
                left[s] -= 1
    return taken


# ---------------------------------------------------------------------- what an operator takes
def count(runtime: OnnxRuntime, work: Workload) -> Counter[Signature]:
    """How often one inference executes each signature, over all its parts."""
    found: Counter[Signature] = Counter()
    for model in work.parts:
        for signature, times in signatures(runtime, model).items():
            found[signature] += times * model.runs
    return found


@dataclass(frozen=True)
class Operator:
    """What one signature takes, in ms, less what the profiler adds; never below zero.

    low, high : quartiles over visits; visits : profiles in which it occurred
    """

    signature: Signature
    ms: float
    low: float
    high: float
    visits: int


@dataclass(frozen=True)
class Session:
    """Operators by signature id, measured together; reference_ms : the reference on the quiet host, under the profiler.

    profiler_ms : what the profiler adds to each kernel
    """

    operators: dict[str, Operator]
    reference_ms: float
    profiler_ms: float


def measure(
    runtime: OnnxRuntime,
    works: Sequence[Callable[[], Workload]],
    reference: Callable[[], Workload],
    rng: np.random.Generator,
    *,
    rounds: int = ROUNDS,
    runs: int = RUNS,
    reference_ms: float | None = None,
    tick: Tick | None = None,
) -> Session:
    """Profile all workloads in interleaved rounds, the reference among them, and take the host's speed out.

    The speed at each visit is what the logarithms of the profiles' totals say, each less its workload's own (`two_way`);
    times are those at the quiet level. What the profiler adds to a kernel is measured, not fitted: the profiled inference
    less the plain one, which is run in turn with it, over the number of kernels.
    reference_ms : of an earlier session of this device, to whose speed all are brought
    """
    order = [
        i
        for _ in range(rounds)
        for place, i in enumerate(rng.permutation(len(works)))
        for i in ([len(works), i] if place % REFERENCE_EACH == 0 else [i])
    ]
    visits: list[list[tuple[Profile, int]]] = []
    for done, i in enumerate(order):
        work = (works[i] if i < len(works) else reference)()
        visits.append([(profile(runtime, m, runs=runs), m.runs) for m in work.parts])
        if tick is not None:
            tick((done + 1) / len(order))
    totals = np.array([sum(times * float(p.kernel_ms.sum()) for p, times in parts) for parts in visits])
    effects, level = two_way(np.log(totals), np.array(order), len(works) + 1, 2 * REFERENCE_EACH + 1)
    quiet = float(np.exp(effects[-1] + np.quantile(level, QUIET)))
    speed = np.exp(level - np.quantile(level, QUIET)) * quiet / (reference_ms or quiet)
    added = [
        (float(p.kernel_ms.sum()) - p.whole_ms) / len(p.kernels) / s
        for parts, s in zip(visits, speed, strict=True)
        for p, _ in parts
    ]
    profiler = float(np.median(added))
    seen: dict[str, Signature] = {}
    times: dict[str, list[float]] = defaultdict(list)
    for parts, s in zip(visits, speed, strict=True):
        own: dict[str, list[float]] = defaultdict(list)
        for p, _ in parts:
            for kernel, ms in zip(p.kernels, p.kernel_ms, strict=True):
                seen[kernel.signature.id] = kernel.signature
                own[kernel.signature.id].append(float(ms) / s)
        for k, values in own.items():
            times[k].append(float(np.mean(values)))
    operators = {}
    for k, values in times.items():
        low, middle, high = np.maximum(np.quantile(values, [0.25, 0.5, 0.75]) - profiler, 0.0)
        operators[k] = Operator(seen[k], float(middle), float(low), float(high), len(values))
    return Session(operators, quiet, profiler)


# ---------------------------------------------------------------------- sums and wholes
def sums(ms: Mapping[str, float], counts: Sequence[Mapping[str, int]]) -> FloatArray:
    """(n,) sum of the operators of each architecture in ms; NaN where one is not in the table."""
    return np.array([sum(ms.get(s, math.nan) * times for s, times in found.items()) for found in counts])


def linear_correction(x: FloatArray, whole: FloatArray, fitted: NDArray[np.int64]) -> tuple[float, float]:
    """(offset, slope) of whole ≈ offset + slope · x by least squares of relative errors over the rows `fitted`."""
    design = np.column_stack([np.ones(len(fitted)), x[fitted]]) / whole[fitted, None]
    offset, slope = np.linalg.lstsq(design, np.ones(len(fitted)), rcond=None)[0]
    return float(offset), float(slope)


def agreement(x: FloatArray, whole: FloatArray, rng: np.random.Generator, *, fitted: int = FITTED) -> dict[str, Any]:
    """How well x (n,) tells wholes (n,): Spearman over all; MAPE of the rest after a correction fitted on `fitted` of them.

    Half are fitted on where there are fewer than twice as many; None with fewer than six.
    """
    n = len(whole)
    if n < 6:
        return {"wholes": n, "rank": None, "mape_pct": None, "fitted": 0, "offset_ms": None, "slope": None}
    chosen = rng.permutation(n)[: min(fitted, n // 2)]
    offset, slope = linear_correction(x, whole, chosen)
    rest = np.setdiff1d(np.arange(n), chosen)
    error = np.abs((offset + slope * x[rest]) / whole[rest] - 1)
    return {
        "wholes": n,
        "rank": float(spearmanr(x, whole)[0]),
        "mape_pct": float(100 * error.mean()),
        "fitted": len(chosen),
        "offset_ms": offset,
        "slope": slope,
    }


# ---------------------------------------------------------------------- of a campaign
def operators(campaign: Campaign, device: str | None = None) -> dict[str, Any]:
    """The operator table of a device for a campaign's space: completed, and set against the measured latencies.

    Which signatures the space can ask for is found by running a covering set of architectures once each, and checked on
    others drawn at random. Those that the store does not have for this device are measured, and kept there for every
    campaign on it. Returns

    coverage : numbers of signatures and what is not covered, see `Uncovered`
    agreement : sum of operators against measured latencies, see `agreement`
    operators : frame, a row a signature, costliest over the space first
    wholes : frame, a row a measured architecture with its latency, its sum of operators and the corrected sum
    kinds : frame, milliseconds of each kind of operator in the architectures of `wholes`
    plots : paths of the figure

    Raises `DeviceError` for a device that is not ONNX Runtime on this host.
    """
    target = campaign.target(device)
    runtime = target.runtime
    if not isinstance(runtime, OnnxRuntime):
        where = "on another host" if target.remote else f"of runtime {target.device.runtime!r}"
        raise DeviceError(
            f"device {target.name!r} is {where}: operator profiles are read from ONNX Runtime on this host.",
            hint="Name a device with runtime = 'onnxruntime' by --device, or run this command on the other host.",
        )
    campaign.store.add_device(target.fingerprint, target.name, target.facts)
    latency = find_latency(campaign, target, "search")
    whole = [a for a in campaign.store.architectures(campaign.space) if a.id in latency]
    rng = campaign.rng("operators")
    covers = covering(campaign.space, rng, limit=COVERING)
    drawn = campaign.space.sample(DRAWN, rng, exclude=covers)
    counts = _counts(campaign, target, runtime, [*covers, *drawn, *whole])
    inside = {s for a in covers for s in counts.get(a.id, ())}
    asked = inside.union(*counts.values())
    known = _known(campaign, target)
    missing = asked - known.keys()
    if missing:
        _complete(campaign, target, runtime, counts, missing)
    table = _known(campaign, target)
    coverage = {
        "signatures": len(asked),
        "known_before": len(asked) - len(missing),
        "measured_now": len(missing & table.keys()),
        "missing": sorted(asked - table.keys()),
        "covering_set": len(covers),
        **asdict(uncovered(inside, [counts[a.id] for a in drawn if a.id in counts])),
    }
    found = [a for a in whole if a.id in counts]
    wholes, kinds, said = _wholes(campaign, found, latency, counts, table)
    frame = _frame(table, asked, [counts[a.id] for a in drawn if a.id in counts])
    figure = operators_figure(wholes, kinds, said, target.name)
    return {
        "device": target.name,
        "fingerprint": target.fingerprint,
        "coverage": coverage,
        "agreement": said,
        "operators": frame,
        "wholes": wholes,
        "kinds": kinds,
        "plots": [str(p) for p in save(figure, campaign.folder / "plots", f"operators-{target.name}")],
    }


def _common(target: Target) -> dict[str, Any]:
    return {"subject": target.fingerprint, "protocol": PROTOCOL, "purpose": "profile"}


def _known(campaign: Campaign, target: Target) -> dict[str, Measurement]:
    rows = campaign.store.find(metric="operator_ms", **_common(target))
    return {m.arch_id: m for m in rows if m.value is not None}


def _counts(
    campaign: Campaign, target: Target, runtime: OnnxRuntime, archs: Iterable[Architecture]
) -> dict[str, dict[str, int]]:
    """Signatures of each architecture by id, from the store or from one run; those that cannot be run are left out."""
    every = list(dict.fromkeys(archs))
    common = {"metric": "kernels", **_common(target), "supernet": campaign.loaded.digest}
    found = {m.arch_id: dict(m.details["signatures"]) for m in campaign.store.find(**common)}
    todo = [a for a in every if a.id not in found]
    campaign.store.add_architectures(todo)
    with campaign.progress.task(f"operators of {target.name}", len(every), "subnets") as task:
        for done, arch in enumerate(todo):
            try:
                counted = count(runtime, workload(campaign, target, arch))
            except (DeviceError, MeasurementError) as error:
                campaign.progress.warn(f"subnet {arch.id} on {target.name}: {error}")
                continue
            by_id = {s.id: times for s, times in counted.items()}
            row = Measurement(
                arch.id, value=float(sum(by_id.values())), unit="kernels", details={"signatures": by_id}, **common
            )
            campaign.store.add([row])
            found[arch.id] = by_id
            task.update(len(every) - len(todo) + done + 1)
        task.note(f"{len({s for c in found.values() for s in c})} signatures")
    return {a.id: found[a.id] for a in every if a.id in found}


def _complete(
    campaign: Campaign,
    target: Target,
    runtime: OnnxRuntime,
    counts: Mapping[str, Mapping[str, int]],
    missing: set[str],
) -> None:
    """Measure what is missing on few architectures, and keep it."""
    ids = choose(counts, missing)
    archs = {a.id: a for a in campaign.store.architectures(campaign.space)}
    place = f"operators:{target.fingerprint}:{campaign.loaded.digest}"
    scale = (campaign.store.get_state(place, 1) or {}).get("reference_ms")
    with campaign.progress.task(f"profile operators {target.name}", len(ids), "subnets") as task:
        with quiet_host(target.exclusive):
            session = measure(
                runtime,
                [partial(workload, campaign, target, archs[i]) for i in ids],
                partial(workload, campaign, target, campaign.reference),
                campaign.rng("operator rounds"),
                reference_ms=scale,
                rounds=ROUNDS,
                runs=RUNS,
                tick=lambda share: task.update(share * len(ids)),
            )
        if scale is None:
            campaign.store.put_state(place, {"reference_ms": session.reference_ms})
        facts = {"profiler_ms": session.profiler_ms, "reference_ms": session.reference_ms}
        campaign.store.add(
            Measurement(
                k,
                "operator_ms",
                value=o.ms,
                unit="ms",
                repeats=o.visits * RUNS,
                details={
                    "signature": asdict(o.signature),
                    "visits": o.visits,
                    "quartiles_ms": [o.low, o.high],
                    **facts,
                },
                **_common(target),
            )
            for k, o in session.operators.items()
            if k in missing
        )
        task.note(f"{len(missing & session.operators.keys())} signatures measured")


def _wholes(
    campaign: Campaign,
    archs: Sequence[Architecture],
    latency: Mapping[str, Measurement],
    counts: Mapping[str, Mapping[str, int]],
    table: Mapping[str, Measurement],
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    ms = {k: float(m.value or 0.0) for k, m in table.items()}
    kind = {k: Signature.from_dict(m.details["signature"]).kind for k, m in table.items()}
    frame = pd.DataFrame({"arch_id": [a.id for a in archs]})
    frame["latency_ms"] = [float(latency[a.id].value or math.nan) for a in archs]
    frame["operator_sum_ms"] = sums(ms, [counts[a.id] for a in archs])
    rows = campaign.space.to_array(archs)
    for name in ("macs", "params"):
        frame[name] = computed_metrics()[name].compute(campaign.loaded.net, rows) if archs else []
    frame = frame[frame["operator_sum_ms"].notna()].reset_index(drop=True)
    x, whole = frame["operator_sum_ms"].to_numpy(float), frame["latency_ms"].to_numpy(float)
    said = agreement(x, whole, campaign.rng("operator correction"))
    frame["corrected_ms"] = said["offset_ms"] + said["slope"] * x if said["fitted"] else np.nan
    shares = []
    for arch_id in frame["arch_id"]:
        own: dict[str, float] = defaultdict(float)
        for s, times in counts[arch_id].items():
            own[kind[s]] += times * ms[s]
        shares.append({"arch_id": arch_id, **own})
    return frame, pd.DataFrame(shares).fillna(0.0), said


def _frame(table: Mapping[str, Measurement], asked: set[str], drawn: Sequence[Mapping[str, int]]) -> pd.DataFrame:
    """A row a signature of the space, the costliest for the drawn architectures first; share_pct : of their time."""
    times: Counter[str] = Counter()
    for counts in drawn:
        times.update(counts)
    rows = []
    for k in asked & table.keys():
        m, signature = table[k], Signature.from_dict(table[k].details["signature"])
        low, high = m.details["quartiles_ms"]
        row = [k, signature.kind, signature.text, float(m.value or 0.0), low, high, m.details["visits"], times[k]]
        rows.append(row)
    names = ["signature", "kind", "operator", "operator_ms", "quartile_low_ms", "quartile_high_ms", "visits", "times"]
    frame = pd.DataFrame(rows, columns=names)
    cost = frame["operator_ms"] * frame.pop("times")
    frame["share_pct"] = 100 * cost / cost.sum() if cost.sum() else 0.0
    return frame.sort_values(["share_pct", "signature"], ascending=[False, True], ignore_index=True)

"""Operator tables: coverage against brute force, times against a made-up host, sums against exact ones."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import hwsearch
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.steps import operators
from hwsearch.cli.main import main
from hwsearch.devices import Device, Workload
from hwsearch.devices.operators import Kernel, Profile, Signature
from hwsearch.devices.runtimes.base import Model
from hwsearch.devices.runtimes.onnxruntime import OnnxRuntime
from hwsearch.devices.timing import covering as covering_module
from hwsearch.devices.timing import operator_profile
from hwsearch.devices.timing.covering import choose, count, covering, uncovered
from hwsearch.devices.timing.operator_profile import measure
from hwsearch.devices.timing.operator_sums import agreement, sums
from hwsearch.errors import DeviceError
from hwsearch.exporters import lower
from hwsearch.spaces import Choice, SearchSpace, When
from hwsearch.store import Store
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3


# ---------------------------------------------------------------------- what a space can ask for
def conditional_space() -> SearchSpace:
    inner = [Choice(f"k[{i}]", (3, 5, 7), When("d", tuple(range(i + 1, 4)))) for i in range(1, 3)]
    outer = [Choice("r", (16, 24, 32)), Choice("d", (1, 2, 3)), Choice("k[0]", (3, 5, 7)), Choice("w", (1, 2))]
    return SearchSpace("conditional", [*outer, *inner, Choice("e", (2, 3, 4))])


def triples(space, archs) -> set:
    found = set()
    for arch in archs:
        found |= set(itertools.combinations(sorted(arch.items()), 3))
    return found


def test_any_three_values_that_occur_together_do_so_in_the_covering_set():
    space = conditional_space()
    every = list(space.enumerate())
    covers = covering(space, np.random.default_rng(0), limit=200)
    assert triples(space, covers) == triples(space, every)
    assert len(set(covers)) == len(covers) < len(every) / 4
    assert covers[0] in (space.smallest(), space.largest()) and {space.smallest(), space.largest()} <= set(covers)


def test_a_limit_keeps_the_most_telling_and_a_small_space_is_taken_whole():
    space = conditional_space()
    some = covering(space, np.random.default_rng(0), limit=20)
    random = space.sample(20, np.random.default_rng(1))
    assert len(some) == 20 and len(triples(space, some)) > len(triples(space, random))
    assert covering(space, np.random.default_rng(0), limit=10_000) == list(space.enumerate())


def test_signatures_of_a_covering_set_are_those_of_the_whole_space(randomise):
    """Brute force: every architecture of a small elastic network is run."""
    stage = (Stage(8, 2, "relu", True),)
    config = MobileNetV3Config(
        "tiny",
        stage,
        stem_width=8,
        final_width=16,
        mix_width=16,
        classes=2,
        kernels=(3, 5),
        expansions=(2, 3),
        depths=(1, 2),
        resolutions=(8, 16),
    )
    net = ElasticMobileNetV3(config)
    randomise(net)
    net.eval()
    runtime = OnnxRuntime(Device("cpu"))

    def count(arch):
        shape = net.input_shape(arch)
        model = lower(net.subnet(arch).eval(), shape).SerializeToString()
        return count(runtime, Workload.of(bytes(model), shape))

    counts = {a.id: count(a) for a in net.space.enumerate()}
    covers = covering(net.space, np.random.default_rng(0), limit=28)
    assert len(covers) < len(counts)
    assert set().union(*(counts[a.id] for a in covers)) == set().union(*counts.values())


def test_a_part_that_runs_several_times_counts_as_often(monkeypatch):
    signature = Signature("Mul", "CPU", "fp32", (), (), {})
    monkeypatch.setattr(covering_module, "signatures", lambda runtime, model: {signature: 2})
    work = Workload((Model(()), Model((), runs=5)))
    assert count(None, work) == {signature: 12}


def test_uncovered_counts_and_limits():
    drawn = [{"a": 1}, {"a": 2, "x": 1}, {"x": 1, "y": 3}, {"b": 1}, {"z": 1}, {"a": 1}]
    found = uncovered({"a", "b"}, drawn)
    assert (found.drawn, found.with_unknown, found.unknown) == (6, 3, 3)
    assert found.expected_new == pytest.approx(2 / 6)  # y and z were met once each
    assert found.share_high == pytest.approx(binomtest(3, 6, alternative="less").proportion_ci(0.95, "exact").high)
    assert uncovered({"a"}, [{"a": 1}] * 300).share_high == pytest.approx(1 - 0.05 ** (1 / 300))
    assert uncovered((), [{"a": 1}]).share_high == 1


def test_good_and_turing_tell_what_the_next_one_adds():
    """Against the exact expectation for independent kernels of known probability, over many draws."""
    rng, p = np.random.default_rng(0), 1 / np.arange(2, 60)
    told, exact = [], []
    for _ in range(300):
        met = rng.random((40, len(p))) < p
        told.append(uncovered((), [dict.fromkeys(map(str, np.flatnonzero(m)), 1) for m in met]).expected_new)
        exact.append(p[~met.any(axis=0)].sum())
    assert np.mean(told) == pytest.approx(np.mean(exact), rel=0.05)


def test_few_architectures_cover_what_is_missing():
    rng = np.random.default_rng(3)
    counts = {f"a{i}": {f"s{j}": 1 for j in np.flatnonzero(rng.random(12) < 0.3)} for i in range(10)}
    have = {s for c in counts.values() for s in c}
    taken = choose(counts, [*have, "nowhere"], times=1)
    assert set().union(*(counts[a] for a in taken)) == have
    fewest = next(
        n
        for n in range(1, 11)
        if any(set().union(*(counts[a] for a in c)) == have for c in itertools.combinations(counts, n))
    )
    assert len(taken) <= fewest * (1 + math.log(12))
    twice = choose(counts, have, times=2)
    for s in have:
        assert sum(s in counts[a] for a in twice) >= min(2, sum(s in c for c in counts.values()))
    assert choose(counts, []) == []


# ---------------------------------------------------------------------- what an operator takes
class Host:
    """Profiles of made-up networks on a host whose speed changes; the profiler adds 4 µs to a kernel."""

    def __init__(self, us: dict[str, float], nets: list[list[str]]) -> None:
        self.us, self.nets, self.factor = us, nets, 1.0
        self.now, self.rng = 0, np.random.default_rng(0)

    def profile(self, runtime, model, *, runs):
        self.now += 1
        slow = self.factor * (1 + 0.3 * math.sin(self.now / 40) ** 2)
        names = self.nets[int(model.onnx)]
        noise = lambda: slow * self.rng.normal(1, 0.02, runs)  # noqa: E731
        found = [Kernel(n, signature(n), tuple((self.us[n] + 4) * noise())) for n in names]
        return Profile(tuple(found), tuple(sum(self.us[n] for n in names) / 1e3 * noise()))

    def works(self):
        return [lambda i=i: Workload((Model((), str(i).encode()),)) for i in range(len(self.nets))]


def signature(name: str) -> Signature:
    return Signature(name, "CPU", "fp32", (), (), {})


def test_the_host_and_the_profiler_are_taken_out(monkeypatch):
    rng = np.random.default_rng(5)
    us = {f"Op{i}": float(v) for i, v in enumerate(rng.uniform(1, 20, 30))} | {"Nothing": 0.0}
    nets = [[*rng.choice(list(us)[:-1], 25), "Nothing"] for _ in range(12)]
    host = Host(us, nets)
    monkeypatch.setattr(operator_profile, "profile", host.profile)
    found = measure(None, host.works(), host.works()[0], rng, rounds=6, runs=40)
    assert found.profiler_ms == pytest.approx(4e-3, rel=0.05)
    names = [n for n in us if signature(n).id in found.operators]
    got = np.array([found.operators[signature(n).id].ms for n in names])
    assert len(names) == len({n for net in nets for n in net}) and (got >= 0).all()
    np.testing.assert_allclose(got * 1e3, [us[n] for n in names], rtol=0.03, atol=0.2)
    # a later session, on a host that is slower throughout, is brought to the first one's speed
    host.factor = 1.5
    again = measure(None, host.works(), host.works()[0], rng, rounds=6, runs=40, reference_ms=found.reference_ms)
    assert again.reference_ms == pytest.approx(1.5 * found.reference_ms, rel=0.03)
    later = np.array([again.operators[signature(n).id].ms for n in names])
    np.testing.assert_allclose(later * 1e3, [us[n] for n in names], rtol=0.04, atol=0.25)


# ---------------------------------------------------------------------- sums and wholes
def test_sums_look_operators_up():
    found = sums({"a": 0.5, "b": 2.0}, [{"a": 3}, {"a": 1, "b": 2}, {"c": 1}])
    np.testing.assert_array_equal(found, [1.5, 4.5, math.nan])


def test_agreement_of_a_line_is_perfect_and_of_noise_is_not():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 9, 100)
    exact = agreement(x, 0.3 + 1.2 * x, rng)
    assert exact["rank"] == pytest.approx(1) and exact["mape_pct"] < 1e-9 and exact["fitted"] == 30
    assert (exact["offset_ms"], exact["slope"]) == (pytest.approx(0.3), pytest.approx(1.2))
    noisy = agreement(x, (0.3 + 1.2 * x) * np.exp(rng.normal(0, 0.1, 100)), rng)
    assert noisy["rank"] < 1 and 5 < noisy["mape_pct"] < 12
    assert agreement(x[:20], x[:20], rng)["fitted"] == 10
    assert agreement(x[:5], x[:5], rng)["mape_pct"] is None


# ---------------------------------------------------------------------- of a campaign
@pytest.fixture
def campaign(profiled, tmp_path, monkeypatch):
    """A copy of the profiled campaign, with little to measure."""
    for name, value in {"COVERING": 12, "DRAWN": 6, "ROUNDS": 1, "RUNS": 4}.items():
        monkeypatch.setattr(operators, name, value)
    shutil.copytree(profiled, tmp_path / "campaign")
    return tmp_path / "campaign"


@pytest.fixture(scope="module")
def profiled(small_config, tmp_path_factory):
    """A small campaign whose latencies are measured."""
    folder = tmp_path_factory.mktemp("operators")
    hwsearch.profile(Campaign.open(small_config, folder=folder))
    return folder


def test_a_campaign_gets_its_table_once(campaign):
    found = hwsearch.operators(campaign, "one")
    cover = found["coverage"]
    assert cover["measured_now"] == cover["signatures"] == len(found["operators"]) > 50 and cover["missing"] == []
    assert cover["drawn"] == 6 and cover["covering_set"] == 12
    kept = Store.open(campaign / "store.sqlite").find(metric="operator_ms")
    assert {m.arch_id for m in kept} == set(found["operators"]["signature"])
    for m in kept:
        assert Signature.from_dict(m.details["signature"]).id == m.arch_id and m.value >= 0
    wholes, kinds = found["wholes"], found["kinds"]
    assert len(wholes) == found["agreement"]["wholes"] >= 14
    np.testing.assert_allclose(kinds.drop(columns="arch_id").sum(axis=1), wholes["operator_sum_ms"])
    assert found["operators"]["share_pct"].sum() == pytest.approx(100)
    assert all((campaign / "plots" / f"operators-one.{e}").stat().st_size > 0 for e in ("png", "svg"))

    before = Store.open(campaign / "store.sqlite").frame()
    again = hwsearch.operators(campaign, "one")
    pd.testing.assert_frame_equal(before, Store.open(campaign / "store.sqlite").frame())
    assert again["coverage"]["measured_now"] == 0 and again["coverage"]["known_before"] == cover["signatures"]
    pd.testing.assert_frame_equal(found["operators"], again["operators"])


def test_the_command_prints_and_gives_json(campaign, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["hwsearch", "operators", str(campaign), "--device", "one", "--json"])
    main()
    found = json.loads(capsys.readouterr().out)
    assert found["device"] == "one" and {"signature", "operator_ms"} <= found["operators"][0].keys()
    monkeypatch.setattr(sys, "argv", ["hwsearch", "operators", str(campaign), "--device", "one", "--most", "3"])
    main()
    said = capsys.readouterr().out
    assert "costliest of" in said and "rank correlation" in said and "operators-one.png" in said.replace("\n", "")


def test_another_runtime_is_refused(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        '[supernet]\nname = "cifar10-mbv3"\n[[device]]\nname = "t"\nruntime = "simulated"\noptions = {table = "pixel3/nas-bench-201"}\n'
        '[[objective]]\nmetric = "accuracy"\n[[objective]]\nmetric = "latency"\n'
    )
    with pytest.raises(DeviceError, match="'t' is of runtime 'simulated'"):
        hwsearch.operators(Campaign.open(path, folder=tmp_path / "c"))

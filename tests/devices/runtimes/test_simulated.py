from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import latency_tables
from hwsearch.devices import Device, TimingProtocol, Workload, create_runtime, measure_group
from hwsearch.devices.runtimes.replayed_host import ReplayedHost
from hwsearch.devices.runtimes.simulated import SimulatedRuntime
from hwsearch.devices.traces import Moment, write_trace
from hwsearch.errors import DeviceError, MeasurementError
from latency_tables import Gene, TableSpace

#: a network whose latency is known: 1 + a + 2 b ms, for all a, b but one
SPACE = TableSpace("two-genes", (Gene("a", tuple(range(5))), Gene("b", tuple(range(4)))))
MISSING = {"a": 3, "b": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    rows = [(a, b, 1.0 + a + 2 * b) for a in range(5) for b in range(4) if (a, b) != (3, 2)]
    frame = pd.DataFrame(rows, columns=["a", "b", "latency_ms"]).astype({"a": "Int64", "b": "Int64"})
    facts = dict.fromkeys(("statistic", "protocol", "source", "licence"), "made up") | {"measured": "model"}
    about = {"name": "toy", "hardware": "none", "batch": 4, "unit": "ms"}
    latency_tables.write(folder, about, "two-genes", frame, SPACE, facts)
    return folder


def device(folder, **options):
    return SimulatedRuntime(Device("sim", "simulated", options={"table": str(folder / "toy" / "two-genes"), **options}))


def work(**genes):
    return Workload((), "-".join(map(str, genes.values())), genes)


def test_rows_of_the_table_are_given_as_they_are_and_others_are_fitted(folder):
    runtime = device(folder)
    session = runtime.load(work(a=4, b=1))
    assert session.time(3) == [7.0] * 3 and not session.interpolated
    session = runtime.load(work(**MISSING))
    assert session.interpolated and session.time(1)[0] == pytest.approx(8.0, rel=0.01)
    assert runtime.verify(work(a=0, b=0)) == {"simulated": 1}


def test_nobody_takes_its_rows_for_measurements(folder):
    facts = device(folder).facts()
    assert facts["simulated"] is True and facts["batch"] == 4
    assert facts["table_sha256"] == latency_tables.show("toy", folder)["tables"]["two-genes"]["sha256"]
    assert facts["interpolator"]["mape_percent"] < 1 and facts["interpolator"]["kind"] == "ridge"
    assert device(folder, interpolate=False).facts()["interpolator"] is None


def test_without_interpolation_a_missing_row_is_a_failed_measurement(folder):
    with pytest.raises(MeasurementError, match="no such architecture"):
        device(folder, interpolate=False).load(work(**MISSING))


def test_noise_depends_on_seed_architecture_and_run_alone(folder):
    def runs(seed, first=1):
        runtime = device(folder, noise=0.05, spikes=0.1, seed=seed)
        if first > 1:
            runtime.load(work(a=1, b=1)).time(5)
        session = runtime.load(work(a=0, b=3))
        return session.time(first) + session.time(600 - first)

    assert runs(1) == runs(1) == runs(1, first=300)
    assert runs(1) != runs(2)
    runtime = device(folder, noise=0.05)
    one, again = runtime.load(work(a=0, b=3)).time(9), runtime.load(work(a=0, b=3)).time(9)
    assert not set(one) & set(again)


def test_noise_and_spikes_are_of_the_size_asked_for(folder):
    runs = np.log(np.array(device(folder, noise=0.05).load(work(a=0, b=0)).time(4000)))
    assert runs.std() == pytest.approx(0.05, rel=0.06) and runs.mean() == pytest.approx(0, abs=0.004)
    runs = np.array(device(folder, spikes=0.1).load(work(a=0, b=0)).time(4000))
    assert (runs >= 2).mean() == pytest.approx(0.1, abs=0.02) and (runs[runs < 2] == 1).all()


def test_drift_is_a_sine_over_the_devices_own_clock(folder):
    runtime = device(folder, drift=0.2, drift_period_s=4.0)
    runs = np.array(runtime.load(work(a=0, b=0)).time(8000))
    assert runs.max() == pytest.approx(1.2, abs=1e-3) and runs.min() == pytest.approx(0.8, abs=1e-3)
    began = np.concatenate([[0], np.cumsum(runs)[:-1]]) / 1e3
    assert np.allclose(runs, 1 + 0.2 * np.sin(2 * np.pi * began / 4))
    assert runtime.clock_s == pytest.approx(runs.sum() / 1e3)


def test_the_protocol_takes_drift_and_noise_out_again(folder):
    runtime = device(folder, drift=0.3, drift_period_s=2.0, noise=0.02, spikes=0.02)
    loads = [lambda w=work(a=a, b=b): runtime.load(w) for a in range(3) for b in range(3)]
    timings = measure_group(
        loads,
        lambda: runtime.load(work(a=2, b=1)),
        TimingProtocol(),
        np.random.default_rng(0),
    )
    truth = [1 + a + 2 * b for a in range(3) for b in range(3)]
    assert [t.value * 5.0 / t.typical for t in timings] == pytest.approx(truth, rel=0.04)


def test_it_waits_only_when_asked_to(folder, monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    device(folder).load(work(a=4, b=1)).time(10)
    assert slept == []
    device(folder, wait=True).load(work(a=4, b=1)).time(10)
    assert slept == [pytest.approx(0.07)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"table": "v101-b64/ofa-mobilenetv3"}, "v100-b64"),
        ({"table": "v100-b64/ofa-mobilenet"}, "ofa-mobilenetv3"),
        ({"table": "v100-b64"}, "DEVICE/TABLE"),
        ({"nose": 0.1}, "noise"),
        ({"noise": "much"}, "noise"),
        ({"noise": True}, "noise"),
        ({"drift": 1.5}, "drift"),
        ({"drift_period_s": 0.0}, "drift_period_s"),
    ],
)
def test_wrong_options_are_named(folder, options, words):
    with pytest.raises(DeviceError, match=words):
        device(folder, **options)


def test_a_table_of_another_space_is_refused_before_anything_is_measured(folder):
    runtime = device(folder)
    with pytest.raises(DeviceError, match=r"another space.*'c'"):
        runtime.verify(work(a=0, b=0, c=1))
    with pytest.raises(DeviceError, match=r"another space.*'b'"):
        runtime.load(work(a=0))
    with pytest.raises(DeviceError, match="a=9"):
        runtime.load(work(a=9, b=0))


def test_a_batch_that_is_not_the_tables_is_refused(folder):
    with pytest.raises(DeviceError, match="batch 8"):
        SimulatedRuntime(Device("sim", "simulated", batch=8, options={"table": str(folder / "toy" / "two-genes")}))


def test_a_shipped_table_is_a_device_by_name_and_its_fit_says_how_good_it_is():
    runtime = create_runtime(Device("v100", "simulated", options={"table": "v100-b64/ofa-mobilenetv3"}))
    table = latency_tables.load("v100-b64", "ofa-mobilenetv3").head(20)
    for row in table.to_dict("records"):
        genes = {k: v for k, v in row.items() if k != "latency_ms" and not pd.isna(v)}
        assert runtime.latency(genes) == (row["latency_ms"], False)
    # HELP's own table: an additive model of log latency explains it, noise included, to a few percent
    assert runtime.facts()["interpolator"]["spearman"] > 0.97
    genes["r"] = 128 if genes["r"] != 128 else 132
    assert runtime.latency(genes)[1]


# ---------------------------------------------------------------------- replayed hosts
def test_a_device_on_a_replayed_host_has_its_level_and_each_process_its_own_effects(folder):
    host, now = ReplayedHost("wandering", 3), 100.0
    runtime = SimulatedRuntime(device(folder, host="wandering", seed=3).device, now=lambda: now)
    found = []
    for now in (100.0, 4000.0):
        runtime.restart()
        (first,) = runtime.load(work(a=4, b=1)).time(1)
        (second,) = runtime.load(work(a=0, b=0)).time(1)
        for genes, ms, time in (("4-1", 7.0, first), ("0-0", 1.0, second)):
            slowed = host.level(now) ** host.sensitivity(genes)
            assert time == pytest.approx(ms * slowed * host.effect(repr(now), genes), rel=1e-9 if ms == 7.0 else 0.2)
        found.append(first / second)
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("name", "low", "high"), [("quiet", 0.0, 0.01), ("wandering", 0.05, 0.2), ("hostile", 0.1, 0.3)]
)
def test_hosts_are_as_restless_as_they_are_called_and_can_be_played_again(name, low, high):
    levels = np.log([ReplayedHost(name, 1).level(float(t)) for t in range(0, 7200, 15)])
    assert low < levels.std() < high and abs(np.median(levels)) < 0.1
    assert levels.tolist() == np.log([ReplayedHost(name, 1).level(float(t)) for t in range(0, 7200, 15)]).tolist()
    assert ReplayedHost(name, 2).level(7.0) != ReplayedHost(name, 1).level(7.0)
    effects = np.log([ReplayedHost(name, 1).effect(str(p), "model") for p in range(300)])
    assert effects.std() == pytest.approx(ReplayedHost(name).process_sd, rel=0.15)


def test_models_on_a_replayed_host_slow_down_by_their_own_share_every_day():
    found = [[ReplayedHost("wandering", day).sensitivity(str(m)) for m in range(300)] for day in (1, 2)]
    assert found[0] == found[1] and np.mean(found) == pytest.approx(1.0, abs=0.05)
    assert np.std(found) == pytest.approx(ReplayedHost("wandering").sensitivity_sd, rel=0.1)


def test_a_recorded_host_is_played_in_its_parts_and_one_that_cannot_be_is_told(tmp_path, folder):
    trace = [Moment(0.5 * k, 1.0 if k < 200 else 2.0) for k in range(400)]
    path = write_trace(trace, tmp_path / "mine.csv")
    host = ReplayedHost(str(path))
    levels = {round(host.level(float(t)), 2) for t in range(1000)}
    assert max(levels) / min(levels) == pytest.approx(2.0, rel=0.02)
    with pytest.raises(DeviceError, match="unknown host 'wanderig'"):
        device(folder, host="wanderig")
    with pytest.raises(DeviceError, match="cannot be read"):
        device(folder, host=str(tmp_path / "none.csv"))
    write_trace(trace[:1], tmp_path / "short.csv")
    with pytest.raises(DeviceError, match="has 1 moments"):
        device(folder, host=str(tmp_path / "short.csv"))

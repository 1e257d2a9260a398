from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest

import hwsearch
import predictors
from hwsearch.accuracy import calibrated_subnet
from hwsearch.api.opening import do_step
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.jobs.accuracy import measure_accuracy, recorded_score
from hwsearch.campaigns.loading import load_config, parse_config
from hwsearch.campaigns.purpose import Purpose
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.report import write_studies
from hwsearch.campaigns.toml import to_toml
from hwsearch.devices import TimingProtocol
from hwsearch.errors import (
    CampaignError,
    ConfigError,
    DataError,
    HwsearchError,
    LimitError,
    OutputError,
    PredictorError,
    StoreError,
)
from hwsearch.objectives.pareto import non_dominated
from hwsearch.reporting import ReportData
from hwsearch.store import Store
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint import save_weights
from hwsearch.tasks.images import ImageTask


def test_the_whole_line_leaves_all_its_files(finished):
    folder, result = finished
    for name in (
        "campaign.toml",
        "store.sqlite",
        "front.csv",
        "front.json",
        "measurements.csv",
        "report.html",
        "log.txt",
    ):
        assert (folder / name).stat().st_size > 0, name
    assert load_config(folder / "campaign.toml").profile.latency == 14
    assert {p["device"] for p in json.loads((folder / "front.json").read_text())["points"]} == {"one", "four"}
    assert result["measured"] > 14 * 2 + 10
    assert len(list((folder / "models").glob("*/*.onnx"))) == len(set(result["models"]))
    assert list((folder / "plots").glob("*.png")) and list((folder / "plots").glob("*.svg"))


def test_predictors_have_cards_that_say_what_they_were_fitted_on(finished):
    folder, _ = finished
    cards = {p.name: predictors.read_card(p) for p in sorted((folder / "predictors").glob("*.zip"))}
    assert set(cards) == {"accuracy.zip", "latency_ms@one.zip", "latency_ms@four.zip"}
    assert all("gaussian-process" in card["candidates"] for card in cards.values())
    assert cards["accuracy.zip"]["unit"] == "pt" and cards["latency_ms@one.zip"]["unit"] == "ms"
    assert cards["latency_ms@one.zip"]["n"] == 14 and cards["accuracy.zip"]["device"] is None
    assert cards["latency_ms@one.zip"]["device"] != cards["latency_ms@four.zip"]["device"]
    assert len({card["schema_sha256"] for card in cards.values()}) == 1
    with Store.open(folder / "store.sqlite") as store:
        rows = {(row["metric"], row["device"]): row for row in store.get_state("fit")["scores"]}
    for device in ("one", "four"):
        card = cards[f"latency_ms@{device}.zip"]
        assert card["scores"]["mape"] == pytest.approx(rows["latency_ms", device]["mape"])
        assert card["model"] == rows["latency_ms", device]["model"]


def test_a_second_run_measures_nothing(finished, small_config):
    folder, _ = finished
    before = Store.open(folder / "store.sqlite").frame()
    again = hwsearch.run(small_config, folder=folder)
    after = Store.open(folder / "store.sqlite").frame()
    assert again["measured"] == 0
    pd.testing.assert_frame_equal(before, after)


def test_front_points_are_fresh_measured_and_not_dominated(finished):
    folder, _ = finished
    table = pd.read_csv(folder / "front.csv")
    rows = Store.open(folder / "store.sqlite").frame(metric="latency_ms")
    searched = rows[rows["purpose"] == "search"]
    for device, points in table.groupby("device"):
        fresh = rows[(rows["purpose"] == "validate") & (rows["subject"] == points["device_fingerprint"].iloc[0])]
        assert set(points["arch_id"]) <= set(fresh["arch_id"])
        assert fresh["started_at"].min() >= searched["started_at"].max()
        objectives = Campaign.open(folder).objectives(str(device))
        assert non_dominated(points[["accuracy", "latency_ms"]].to_numpy(), objectives).all()
        assert (points["latency_ms_low"] <= points["latency_ms"]).all()
        told = points["latency_ms_undisturbed"].dropna().astype(float)
        assert (told > 0).all() and (told < 1.1 * points["latency_ms"][told.index]).all()
        assert (points["latency_ms"] <= points["latency_ms_high"]).all()


def test_exported_model_is_the_subnet_on_real_images(finished):
    folder, _ = finished
    campaign = Campaign.open(folder)
    card = json.loads(next((folder / "models" / "one").glob("*.json")).read_text())
    arch = campaign.space.architecture(card["architecture"]["genes"])
    assert arch.id == card["architecture"]["id"]
    side = card["input"]["preprocess"]["side"]
    x, y = next(campaign.data["test"].batches(side, 90))
    session = onnxruntime.InferenceSession(folder / "models" / "one" / card["file"], providers=["CPUExecutionProvider"])
    logits = session.run(None, {card["input"]["name"]: x.contiguous().numpy()})[0]
    net = calibrated_subnet(campaign.loaded.net, arch, campaign.data["calibration"], batch=60)
    np.testing.assert_allclose(logits, net(x).detach().numpy(), rtol=1e-3, atol=1e-3)
    assert 100 * float((logits.argmax(1) == y.numpy()).mean()) == pytest.approx(
        card["accuracy"]["top1_percent"], abs=0.01
    )


def test_pick_meets_its_limit_and_says_what_is_reachable(finished, tmp_path):
    folder, _ = finished
    frame = hwsearch.front(folder, "one").to_frame()
    middle = float(frame["latency_ms"].median())
    chosen = hwsearch.pick(folder, f"latency_ms<={middle}", "one", export=tmp_path / "m.onnx")
    allowed = frame[frame["latency_ms"] <= middle]
    assert chosen["accuracy"] == pytest.approx(allowed["accuracy"].max())
    assert (tmp_path / "m.onnx").exists() and (tmp_path / "m.json").exists()
    with pytest.raises(LimitError, match=re.escape(f"the lowest measured is {frame['latency_ms'].min():.6g}.")):
        hwsearch.pick(folder, "latency_ms<=0.000001", "one")
    with pytest.raises(hwsearch.HwsearchError, match="Say which"):
        hwsearch.pick(folder, "latency_ms<=1")


def test_profile_set_is_stable_and_holds_the_extremes(finished):
    campaign = Campaign.open(finished[0])
    first, second = campaign.profile_set, Campaign.open(finished[0]).profile_set
    assert first == second
    every, evaluated, random = first
    assert campaign.space.smallest() in evaluated and campaign.space.largest() in evaluated
    assert set(random) <= set(evaluated) <= set(every) and len(set(every)) == 14


def test_an_impossible_limit_is_told_before_the_search(small_config, tmp_path):
    text = small_config.read_text().replace('metric = "latency"', 'metric = "latency"\nlimit = "<= 0.1 us"')
    path = tmp_path / "tight.toml"
    path.write_text(text)
    with pytest.raises(
        LimitError, match=r"no subnet .* meets latency_ms .* on 'one': the smallest subnet has .* Try"
    ) as caught:
        hwsearch.run(path, folder=tmp_path / "c")
    assert "latency_ms<=" in str(caught.value)
    frame = Store.open(tmp_path / "c" / "store.sqlite").frame()
    assert set(frame["metric"]) == {"latency_ms"} and len(frame) <= 4


def test_another_supernet_in_the_folder_is_refused(finished, small_config, tmp_path):
    path = tmp_path / "other.toml"
    path.write_text(small_config.read_text().replace("cifar10-mbv3", "ofa-mobilenetv3-w1.0"))
    with pytest.raises(CampaignError, match="is a campaign on supernet 'cifar10-mbv3'"):
        Campaign.open(path, folder=finished[0])


def test_steps_out_of_order_say_which_is_missing(small_config, tmp_path):
    folder = tmp_path / "c"
    campaign = Campaign.open(small_config, folder=folder)
    for step, text in ((hwsearch.fit, "evaluate"), (hwsearch.search, "evaluate"), (hwsearch.report, "validate")):
        with pytest.raises(CampaignError, match=text):
            step(campaign)
    with pytest.raises(CampaignError, match="not a campaign"):
        Campaign.open(tmp_path)
    with pytest.raises(CampaignError, match="no configuration file"):
        Campaign.open(tmp_path / "nothing.toml")


def test_data_that_is_missing_or_does_not_fit(small_config, tmp_path):
    for line, error in (('validation = "/nowhere"', DataError), ('test = "/nowhere.parquet"', DataError)):
        path = tmp_path / "d.toml"
        path.write_text(small_config.read_text().replace("[data]", f"[data]\n{line}"))
        with pytest.raises(error, match="nowhere"):
            hwsearch.evaluate(Campaign.open(path, folder=tmp_path / "c"))
    with pytest.raises(ConfigError, match="line"):
        path.write_text(small_config.read_text().replace("[data]", "[data]\nvalidatoin = 'x'"))
        load_config(path)
    assert tomllib.loads(small_config.read_text())["profile"]["latency"] == 14


@pytest.fixture
def tiny_config(small_config, tmp_path):
    """The small campaign on one device and with fewer subnets, for what starts processes."""
    config = tomllib.loads(small_config.read_text())
    del config["device"][1]
    for table, keys in {
        "profile": {"latency": 8, "accuracy": 8, "random": 2},
        "search": {"per_round": 2, "inner_evaluations": 200},
        "validate": {"candidates": 3},
    }.items():
        config[table] |= keys
    path = tmp_path / "tiny.toml"
    path.write_text(to_toml(parse_config(config, "test")))
    return path


RUN = "import sys, hwsearch; hwsearch.run(sys.argv[1], folder=sys.argv[2])"


def kept(folder) -> set[tuple]:
    """All measurements in a folder's store, as (what, when)."""
    frame = Store.open(folder / "store.sqlite", create=False).frame()
    return set(
        frame[["arch_id", "metric", "subject", "purpose", "value", "ended_at"]].itertuples(index=False, name=None)
    )


#: what a run does before it writes models and the report
STEPS = (hwsearch.profile, hwsearch.evaluate, hwsearch.fit, hwsearch.search, hwsearch.validate)


def test_kill_9_in_the_middle_loses_nothing(tiny_config, tmp_path):
    """Kill a campaign while it measures, twice; what was stored stays, and the next run goes on from there."""
    folder = tmp_path / "c"
    before: set[tuple] = set()
    for wanted in (3, 12):
        process = subprocess.Popen([sys.executable, "-c", RUN, str(tiny_config), str(folder)])
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if len(kept(folder)) >= wanted:
                    break
            except StoreError:
                pass
            time.sleep(0.1)
        process.kill()
        assert process.wait() == -9
        Store.open(folder / "store.sqlite").check()
        found = kept(folder)
        assert before <= found and len(found) >= wanted
        before = found
    campaign = Campaign.open(tiny_config, folder=folder)
    for step in STEPS:
        step(campaign)
    after = kept(folder)
    assert before < after
    assert len({row[:4] for row in after}) == len(after), "something was measured twice"


def test_the_hypervolume_curve_starts_with_the_whole_profile(finished):
    """The profile is one batch: the curve has no value before its end, and ends at the best that was measured."""
    for device in ReportData.from_json((finished[0] / "report.json").read_text()).devices:
        roles = device.points.dropna(subset=["accuracy", "latency_ms"])["role"]
        curve = device.hypervolume["search"]
        begin = int((roles == "profile").sum())
        assert curve[: begin - 1].isna().all() and curve[begin - 1 :].notna().all()
        assert (curve[begin - 1 :].diff().dropna() >= 0).all() and 0 < curve.iloc[-1] <= 1
        assert len(curve) == begin + int((roles == "search").sum())


def test_a_campaign_is_the_same_from_any_folder(small_config, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    (tmp_path / "config.toml").write_text(small_config.read_text().replace("[data]", '[data]\ntest = "images"'))
    monkeypatch.chdir(tmp_path)
    here = hwsearch.Campaign.open("config.toml", folder="run").config
    monkeypatch.chdir(tmp_path / "images")
    assert hwsearch.Campaign.open(tmp_path / "run").config == here
    assert here.data.test == str(tmp_path / "images") and here.data.validation is None


def test_a_damaged_predictor_file_is_a_typed_error(finished, tmp_path):
    folder = tmp_path / "c"
    shutil.copytree(finished[0], folder)
    (folder / "predictors" / "accuracy.zip").write_bytes(b"PK damaged")
    with pytest.raises(PredictorError, match=r"accuracy cannot be used.*accuracy\.zip.*hwsearch fit"):
        hwsearch.report(folder)
    hwsearch.fit(folder)
    assert hwsearch.report(folder)["models"]


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
from hwsearch.cli.main import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_disk_that_fills_up_in_the_middle_loses_nothing(tiny_config, tmp_path):
    """A campaign whose files may not grow any more stops with a sentence; with room again it goes on from there."""
    folder = tmp_path / "c"
    command = [sys.executable, "-c", FULL, "300000", "run", str(tiny_config), "--folder", str(folder)]
    stopped = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert stopped.returncode == 1, stopped.stderr
    said = " ".join(stopped.stderr.split())
    assert "nothing already stored is lost" in said and "Traceback" not in said, stopped.stderr
    Store.open(folder / "store.sqlite").check()
    before = kept(folder)
    assert before
    campaign = Campaign.open(tiny_config, folder=folder)
    for step in STEPS:
        step(campaign)
    assert before < kept(folder)


def test_every_setting_of_the_protocol_can_be_configured_and_has_one_default():
    assert CampaignConfig.model_fields["protocol"].annotation is TimingProtocol
    assert CampaignConfig.model_fields["protocol"].default == TimingProtocol()


def test_a_campaign_goes_to_optunas_dashboard_once(finished, tmp_path):
    """A study a front, with what was measured whole; again, nothing is added; a storage that is none is refused."""
    import optuna

    storage = f"sqlite:///{tmp_path}/optuna.db"
    added = hwsearch.report(finished[0], optuna=storage)["optuna"]
    assert set(added) == {s.study_name for s in optuna.get_all_study_summaries(storage)}
    for name, count in added.items():
        study = optuna.load_study(study_name=name, storage=storage)
        assert count == len(study.trials) > 8
        assert study.metric_names is not None and study.metric_names[0] == "accuracy"
        assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert set(write_studies(Campaign.open(finished[0]), storage).values()) == {0}
    page = finished[0] / "report.html"
    drawn = page.stat().st_mtime_ns
    with pytest.raises(HwsearchError, match=r"the Optuna storage 'nonsense' cannot be used"):
        hwsearch.report(finished[0], optuna="nonsense")
    assert page.stat().st_mtime_ns == drawn  # told before anything is drawn


def test_the_screened_see_the_rest_and_no_image_twice(small_config, tmp_path, monkeypatch) -> None:
    """They have then the record that an evaluation on all images gives."""
    data = tomllib.loads(small_config.read_text())
    data["search"] |= {"screening_factor": 2, "screening_metrics": ["latency", "accuracy"], "screening_images": 20}
    campaign = Campaign.open(parse_config(data, "test"), folder=tmp_path)
    arch = campaign.space.sample(1, np.random.default_rng(0))[0]
    seen = []
    evaluate = ImageTask.evaluate
    monkeypatch.setattr(
        ImageTask,
        "evaluate",
        lambda task, net, data, *a, **k: seen.append(len(data)) or evaluate(task, net, data, *a, **k),
    )
    measure_accuracy(campaign, [arch], split=Split.SCREEN)
    in_parts = measure_accuracy(campaign, [arch])[arch.id]
    assert seen == [20, 60]
    at_once = measure_accuracy(campaign, [arch], purpose=Purpose("other"))[arch.id]
    assert seen == [20, 60, 80]
    assert (recorded_score(campaign, in_parts).correct == recorded_score(campaign, at_once).correct).all()
    assert in_parts.value == at_once.value
    assert in_parts.details == at_once.details | {"shown": 60}  # its statistics were there already


def test_a_password_of_the_store_is_not_written_into_the_folder(tmp_path):
    """The file is made readable to all, as other files are; who opens it again brings the password."""
    path = tmp_path / "c.toml"
    path.write_text('store = "postgresql+psycopg://me:secret@host/db?password=secret"\n[[device]]\nname = "one"\n')
    folder = tmp_path / "run"
    campaign = Campaign.open(path, folder=folder)
    assert "secret" in campaign.config.store
    text = (folder / "campaign.toml").read_text()
    assert "secret" not in text and 'store = "postgresql+psycopg://me@host/db"' in text
    (folder / "campaign.toml").write_text(text.replace("me@host", "me:secret@host"))  # as an earlier version wrote it
    Campaign.open(folder)
    assert "secret" not in (folder / "campaign.toml").read_text()
    path.write_text('store = "postgresql+psycopg://me:secret@host:port/db"\n[[device]]\nname = "one"\n')
    with pytest.raises(hwsearch.HwsearchError, match="malformed") as caught:
        Campaign.open(path, folder=tmp_path / "other")
    assert "secret" not in str(caught.value) and not (tmp_path / "other" / "campaign.toml").exists()


def test_resumed_steps_count_in_the_time_spent(tiny_config, tmp_path) -> None:
    campaign = Campaign.open(tiny_config, folder=tmp_path / "c")
    campaign.note_seconds("search", 40.0, went_on=True)  # interrupted
    campaign.note_seconds("search", 25.0, went_on=True)  # taken up again
    campaign.note_seconds("search", 0.5)  # nothing left to do
    campaign.note_seconds("fit", 2.0)
    campaign.note_seconds("fit", 3.0)
    assert campaign.seconds() == {"search": 65.0, "fit": 3.0}


def test_steps_that_were_killed_count_in_the_time_spent_and_once(tiny_config, tmp_path, monkeypatch) -> None:
    campaign = Campaign.open(tiny_config, folder=tmp_path / "c")
    campaign.note_seconds("search", 40.0, went_on=True)
    monkeypatch.setattr(type(campaign.store), "lost_seconds", lambda self: {"search": 7.25, "report": 0.0})
    assert campaign.seconds() == {"search": 47.25}
    campaign.note_seconds("search", 2.0, went_on=True)  # adds to what was noted, not to what was lost
    assert campaign.seconds() == {"search": 49.25}


def test_the_page_names_no_place_of_this_host_and_has_its_program(finished) -> None:
    folder, _ = finished
    page = (folder / "report.html").read_text()
    assert str(folder.parent) not in page and str(folder.parent) not in (folder / "report.json").read_text()
    assert f"hwsearch run {folder.name}/campaign.toml --folder {folder.name}" in page
    assert "python models/classify.py models/" in page and (folder / "models" / "classify.py").is_file()
    data = ReportData.load(folder / "report.json")
    for device in data.devices:
        assert len(device.trade_offs) == max(0, len(device.front) - 1)
        assert [t["faster"] for t in device.trade_offs] == list(device.front["arch_id"])[:-1]
        assert device.worth["searched"] >= 1 and device.worth["random"] >= 1


def test_an_export_replaces_no_file_of_the_campaign_or_of_others(finished, tmp_path) -> None:
    folder, _ = finished
    (tmp_path / "package.json").write_text('{"name": "site"}')
    before = (folder / "report.json").read_bytes()
    for place in (tmp_path / "package.onnx", folder / "report.onnx"):
        with pytest.raises(OutputError, match=place.with_suffix(".json").name):
            hwsearch.pick(folder, (), "one", export=place)
        assert not place.exists()
    assert (folder / "report.json").read_bytes() == before
    assert (tmp_path / "package.json").read_text() == '{"name": "site"}'


def test_a_space_of_two_subnets_is_refused_by_its_name(tmp_path: Path):
    """A quarter, a half, three quarters and all of 16 channels are 8 or 16 with the default divisor."""
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom hwsearch.supernets import SupernetEntry\n"
        "from hwsearch.supernets.declared import Width, elastic\nfrom hwsearch.tasks.images import ImageTask, Preprocess\n"
        "def build():\n"
        "    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))\n"
        "    return elastic(net, {'0': Width((0.25, 0.5, 0.75, 1.0))}, input_shape=(3, 8, 8), name='narrow')\n"
        "ENTRY = SupernetEntry('narrow', 'narrow', build=build, task=ImageTask(Preprocess()))\n"
    )
    net = catalogue.entry(f"{tmp_path}/net.py:ENTRY").build()
    assert net.space.cardinality == 2
    save_weights(net, tmp_path / "w.safetensors", {"digest": "0"})
    config = tmp_path / "c.toml"
    config.write_text(
        f'[supernet]\nname = "{tmp_path}/net.py:ENTRY"\ncheckpoint = "{tmp_path}/w.safetensors"\n[[device]]\nname = "cpu"\n'
    )
    campaign = Campaign.open(config, folder=tmp_path / "run")
    with pytest.raises(
        CampaignError, match=r"search space 'narrow' has 2 subnets, too few.*multiples of their divisor"
    ):
        do_step(campaign, "check", lambda c: c.reference)

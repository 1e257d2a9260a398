from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import hwsearch
import latency_tables
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.errors import CampaignError, DataError, DeviceError
from tests.cli import calls

CONFIG = """
[supernet]
name = "cifar10-mbv3"

[data]
calibration_images = 60
validation_images = 80
test_images = 90
batch = 60

[[device]]
name = "{name}"
{device}

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[protocol]
processes = [2, 2]
loads = 1
visits = 2
block_ms = 0.2
warmup_ms = 1.0
block_runs = 2

[fleet]
isolation = false

[profile]
latency = 24
accuracy = 10
random = 3

[search]
rounds = 1
per_round = 4
inner_evaluations = 400

[validate]
candidates = 5
processes = [2, 2]
"""


def configured(folder: Path, name: str, device: str = "") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(CONFIG.format(name=name, device=device))
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a campaign on this machine, ``real``, profiled, and its table in ``tables``."""
    place = tmp_path_factory.mktemp("place")
    campaign = Campaign.open(configured(place, "here"), folder=place / "real")
    hwsearch.profile(campaign)
    assert hwsearch.tables("export", place / "real", folder=place / "tables")["rows"] == 24
    return place


def call(monkeypatch, capsys, *args: str) -> tuple[int, str, str]:
    return calls.call(monkeypatch, capsys, "tables", *args)


def test_what_is_exported_is_what_the_campaign_goes_by_to_the_last_digit(place):
    campaign = Campaign.open(place / "real")
    space = campaign.space
    table = latency_tables.load("here", space.name, place / "tables")
    stored = find_latency(campaign, campaign.target("here"), SEARCH)
    assert len(table) == len(stored) == 24
    for row in table.to_dict("records"):
        genes = {n: row[n] for n in space.names if not pd.isna(row[n])}
        m = stored.pop(space.architecture(genes).id)
        assert (row["latency_ms"], row["low_ms"], row["high_ms"]) == (m.value, m.low, m.high)
        assert (row["repeats"], row["measured_at"]) == (m.repeats, m.ended_at)
    assert not stored
    about = latency_tables.show("here", place / "tables")
    facts = campaign.target("here").facts
    assert about["fingerprint"] == campaign.target("here").fingerprint
    assert about["facts"]["onnxruntime"] == facts["onnxruntime"] and about["hardware"] == facts["host"]["cpu"]
    assert about["tables"][space.name]["measured"] == "whole network"


def test_a_table_stands_in_for_a_device_from_end_to_end(place, quick_report):
    campaign = Campaign.open(place / "real")
    name = campaign.space.name
    table = place / "tables" / "here" / name
    options = (
        f'runtime = "simulated"\noptions = {{ table = "{table}", noise = 0.02, drift = 0.1, drift_period_s = 0.5 }}'
    )
    result = hwsearch.run(configured(place, "stand-in", options), folder=place / "simulated")
    assert Path(result["report"]).is_file()
    simulated = Campaign.open(place / "simulated")
    front = hwsearch.front(simulated).to_frame()
    assert len(front) >= 1
    ((_, (_, facts)),) = simulated.store.devices().items()
    assert facts["simulated"] is True and facts["interpolator"]["mape_percent"] > 0
    truth = {m.arch_id: m.value for m in campaign.store.find(metric="latency_ms")}
    found = {m.arch_id: m.value for m in simulated.store.find(metric="latency_ms", purpose="search")}
    both = truth.keys() & found.keys()
    assert len(both) >= 3 and len(found) > len(both)
    scale = pd.Series({k: found[k] / truth[k] for k in both})
    assert (scale / scale.median()).between(0.9, 1.1).all()
    written = hwsearch.tables("export", place / "simulated", folder=place / "more")
    facts = latency_tables.table_facts("stand-in", name, place / "more")
    assert written["rows"] == len(found) and facts["measured"] == "model" and "simulated" in facts["note"]


def test_a_table_of_another_supernet_is_refused_before_measuring(place):
    options = 'runtime = "simulated"\noptions = { table = "v100-b64/ofa-mobilenetv3" }'
    with pytest.raises(DeviceError, match="another space"):
        hwsearch.run(configured(place, "wrong", options), folder=place / "wrong")
    assert Campaign.open(place / "wrong").measured() == 0


def test_an_export_can_be_repeated(place):
    again = hwsearch.tables("export", place / "real", folder=place / "tables", device="here")
    assert again["rows"] == 24 and hwsearch.tables("verify", folder=place / "tables")[0]["fault"] is None


def test_export_says_what_is_missing(place, tmp_path):
    with pytest.raises(DeviceError, match="'here'"):
        hwsearch.tables("export", place / "real", folder=tmp_path, device="hare")
    with pytest.raises(CampaignError, match="validate"):
        hwsearch.tables("export", place / "real", folder=tmp_path, purpose="validate")
    with pytest.raises(CampaignError):
        hwsearch.tables("export", tmp_path, folder=tmp_path)


def test_import_show_verify_from_the_command_line(monkeypatch, capsys, tmp_path):
    source = tmp_path / "mine.csv"
    ops = [[(i // 5**k) % 5 for k in range(6)] for i in range(30)]
    frame = pd.DataFrame(ops, columns=[f"op{k}" for k in range(6)]).assign(us=range(100, 130))
    frame.to_csv(source, index=False)
    lines = [f'{k} = "me"' for k in ("statistic", "protocol", "source", "licence")]
    said = ['space = "nas-bench-201"', *lines, 'measured = "whole network"', '[genes]\n"op[*]" = "op*"']
    said.append('[devices.board]\ncolumn = "us"\nhardware = "a board"')
    description = tmp_path / "mine.toml"
    description.write_text("\n".join(said))
    base = ["import", str(source), "--description", str(description), "--folder", str(tmp_path / "t")]
    code, _, err = call(monkeypatch, capsys, *base)
    assert code == 1 and "does not say unit" in err and "Traceback" not in err
    description.write_text('unit = "us"\n' + "\n".join(said))
    code, out, _ = call(monkeypatch, capsys, *base, "--json")
    assert code == 0 and json.loads(out)["tables"][0]["rows"] == 30
    code, out, _ = call(monkeypatch, capsys, "show", "board/nas-bench-201", "--folder", str(tmp_path / "t"), "--json")
    assert code == 0 and json.loads(out)["latency_ms"] == {
        f"{100 * q:g} %": pytest.approx((frame["us"] / 1000).quantile(q)) for q in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
    }
    code, out, _ = call(monkeypatch, capsys, "verify", "--folder", str(tmp_path / "t"))
    assert code == 0 and "1 of 1" in out
    path = tmp_path / "t" / "board" / "nas-bench-201.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    code, out, _ = call(monkeypatch, capsys, "verify", "--folder", str(tmp_path / "t"))
    assert code == 1 and "sha256" in out


def test_list_tells_what_is_shipped(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "list", "--json")
    rows = json.loads(out)["tables"]
    assert code == 0 and {r["table"] for r in rows} >= {
        "v100-b64/ofa-mobilenetv3",
        "raspi4/fbnet",
        "eyeriss/nas-bench-201",
    }
    assert {r["measured"] for r in rows} == {"whole network", "sum of a block table", "model"}
    code, out, _ = call(monkeypatch, capsys)
    assert code == 0 and "v100-b64/ofa-mobilenetv3" in out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("lst",), "'list'"),
        (("show",), "needs a name"),
        (("show", "v100-b46/ofa-mobilenetv3"), "v100-b64"),
        (("import", "x.csv"), "--description"),
        (("import", "x.csv", "--description", "none.toml"), "none.toml"),
        (("verify", "v100-b46"), "v100-b64"),
        (("verify", "--folder", "nowhere"), "nowhere"),
    ],
)
def test_wrong_words_are_answered(monkeypatch, capsys, args, words):
    code, _, err = call(monkeypatch, capsys, *args)
    assert code == 1 and words in " ".join(err.split()) and "Traceback" not in err


def test_the_verb_raises_typed_errors():
    with pytest.raises(DataError, match="v100-b64"):
        hwsearch.tables("show", "v100-b46")

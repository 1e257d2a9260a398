"""Commands that show results: what they ask of the package and what they print of its answer."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from hwsearch.api import results
from hwsearch.campaigns.steps.predict import Predictions

CAMPAIGN = "runs/x in None"


def flat(text: str) -> str:
    return " ".join(text.split())


def front(frame: pd.DataFrame, seen: list):
    def verb(campaign, device, *, deployment):
        seen.append((campaign, device, deployment))
        return SimpleNamespace(to_frame=lambda: frame)

    return verb


FRONT = pd.DataFrame(
    {"arch_id": ["a"], "latency_ms": [1.5], "latency_ms@one": [2.5], "latency_ms_ended_at": ["2025"], "macs": [3e6]}
)


def test_a_front_of_one_device_has_no_columns_of_others(command) -> None:
    seen: list = []
    code, out, _ = command("front", "runs/x", "--device", "one", front=front(FRONT, seen))
    assert code == 0 and seen == [(CAMPAIGN, "one", None)]
    assert "latency_ms" in out and "@one" not in out and "ended_at" not in out
    _, out, _ = command("front", "runs/x", "--deployment", "weighted", front=front(FRONT, seen))
    assert "latency_ms@one" in out and "ended_at" not in out and seen[-1] == (CAMPAIGN, None, "weighted")
    _, out, _ = command("front", "runs/x", "--json", front=front(FRONT, seen))
    assert json.loads(out) == {"front": FRONT.to_dict("records")}


PICK = {
    "arch_id": "abc",
    "device": "one",
    "score": "top-1",
    "score_unit": "%",
    "accuracy": 80.04,
    "accuracy_low": 79.0,
    "accuracy_high": 81.0,
    "confidence": 0.95,
    "devices": {"one": {"latency_ms": 1.2345, "low": 1.2, "high": 1.3}},
    "met_with": {"latency_ms <= 2": 0.99999},
    "export": {"sha256": "f00"},
}


def test_a_pick_is_a_sentence_with_its_intervals_and_probabilities(command) -> None:
    seen = []
    verb = lambda *given, **more: seen.append((given, more)) or PICK  # noqa: E731
    options = ("--limit", "latency_ms<=2", "--limit", "macs<=5M", "--probability", "0.9", "--export", "m.onnx")
    code, out, _ = command("pick", "runs/x", *options, pick=verb)
    assert code == 0 and seen[0][0] == (CAMPAIGN, ["latency_ms<=2", "macs<=5M"], None)
    assert seen[0][1]["probability"] == 0.9 and str(seen[0][1]["export"]) == "m.onnx"
    text = flat(out)
    assert text.startswith("abc on one: top-1 80.0 % (79.0–81.0 with 95 %), latency 1.23 ms (1.2–1.3 with 95 %)")
    assert "meets latency_ms <= 2 with probability 0.9999" in text and "→ m.onnx sha256 f00" in text


def test_a_pick_for_several_devices_names_them_and_without_export_there_is_no_file(command) -> None:
    devices = {n: {"latency_ms": 1.0, "low": 0.9, "high": 1.1} for n in ("one", "two")}
    _, out, _ = command("pick", "runs/x", pick=lambda *_, **__: {**PICK, "devices": devices, "score_unit": ""})
    assert "with 95 %) on one, latency" in flat(out) and "80.0 (79.0" in flat(out) and "→" not in out


def test_a_chain_is_a_line_a_member_and_the_weights_of_all(command) -> None:
    members = [{**PICK, "arch_id": "small", "accuracy": 70.0}, PICK]
    chain = {**PICK, "members": members, "weights_mib": 2.0, "apart_mib": 3.25}
    seen = []
    verb = lambda *given, **more: seen.append(more) or chain  # noqa: E731
    code, out, _ = command("pick", "runs/x", "--chain", "3", "--export", "switch", pick=verb)
    assert code == 0 and seen[0]["chain"] == 3
    text = flat(out)
    assert text.index("1 small: top-1 70.0 %") < text.index("2 abc: top-1 80.0 %")
    assert "weights of 2.00 MiB once, 3.25 MiB apart" in text and "→ switch: 2 files" in text


def test_exported_models_are_listed_with_size_and_digest(command) -> None:
    seen = []
    cards = [{"path": "models/a.onnx", "bytes": 3 * 2**19, "sha256": "f00"}]
    verb = lambda *given, **more: seen.append((given, more)) or cards  # noqa: E731
    code, out, _ = command("export", "runs/x", "--arch", "abc", "--batch", "4", "--output", "o.onnx", export=verb)
    assert code == 0 and flat(out) == "models/a.onnx 1.50 MiB sha256 f00"
    assert seen[0][0] == (CAMPAIGN, "abc", None) and seen[0][1]["batch"] == 4 and str(seen[0][1]["output"]) == "o.onnx"
    assert command("export", "runs/x", "--batch", "0", export=verb)[0] == 2


def test_a_fine_tuning_tells_its_gain_with_sign_and_interval(command) -> None:
    seen = []
    found = {"arch_id": "abc", "score": "top-1", "unit": "%", "before": 80.0, "after": 79.5, "examples": 3000}
    found |= {"gain": -0.5, "gain_low": -1.25, "gain_high": 0.25, "path": "m.onnx", "sha256": "f00"}
    verb = lambda *given, **more: seen.append((given, more)) or found  # noqa: E731
    code, out, _ = command("finetune", "runs/x", "--arch", "abc", "--steps", "9", "--lr", "0.1", finetune=verb)
    assert code == 0 and seen[0][0] == (CAMPAIGN, "abc")
    assert seen[0][1] == {
        "data": None,
        "output": None,
        "steps": 9,
        "batch": 64,
        "lr": 0.1,
        "label_smoothing": 0.0,
        "seed": 0,
        "force": False,
    }
    assert flat(out) == (
        "abc: top-1 80.00 → 79.50 % on 3,000 test examples; gain -0.50 (-1.25 to +0.25, 95 % interval) → m.onnx sha256 f00"
    )


@pytest.mark.parametrize("optuna", [None, "sqlite:///o.db"])
def test_a_report_tells_its_files_and_the_trials_of_each_study(command, optuna) -> None:
    given = {"report": "r.html", "front": "f.csv"} | ({"optuna": {"x/one": 7}} if optuna else {})
    options = ["--optuna", optuna] if optuna else []
    seen = []
    verb = lambda campaign, *, optuna, force: seen.append(optuna) or given  # noqa: E731
    code, out, _ = command("report", "runs/x", *options, report=verb)
    assert code == 0 and "→ r.html f.csv" in flat(out) and seen == [optuna]
    assert ("sqlite:///o.db: 7 trials added to study 'x/one'" in flat(out)) == bool(optuna)


def test_predictions_are_a_table_without_genes(command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    rows = [{"device": "one", "arch_id": k, "genes": {"depth": 2}, "accuracy": 70.25} for k in ("abc", "def")]
    frame = pd.DataFrame(rows)
    running = pd.DataFrame([{"metric": "accuracy", "n": 9, "coverage": 0.5}])
    front = frame.assign(accuracy_expected=69.75)[:1]
    found = Predictions(frame, running, front, ["Intervals had to be widened."])
    monkeypatch.setattr(results, "predictions", lambda *given, **more: seen.append((given, more)) or found)
    code, out, _ = command("predict", "runs/x", "--arch", "abc", "--random", "3", "--coverage", "0.9")
    assert code == 0 and "70.2" in out and "depth" not in out and "90 %" in out
    assert "69.75" in out and "Intervals had to be widened." in out
    assert seen == [((CAMPAIGN, ["abc"], None), {"archs": None, "random": 3, "coverage": 0.9})]
    _, out, _ = command("predict", "runs/x", "--arch", "abc", "--json")
    told = {"predictions": rows, "running_coverage": running.to_dict("records"), "front": front.to_dict("records")}
    assert json.loads(out) == {"coverage": 0.95, **told, "warnings": found.warnings}


def test_an_ensemble_is_a_table_and_its_gain(command) -> None:
    found = {
        "limit": "latency_ms <= 2", "device": "one", "rows": [{"what": "ensemble", "members": 2}], "test_examples": 2500,
        "difference_unit": "pt", "gain": 0.5, "gain_low": -0.25, "gain_high": 1.25, "verdict": "no gain that shows",
        "disagreement": 0.125, "path": "e.onnx",
        "measured": {"latency_ms": 1.5, "low": 1.25, "high": 1.75, "over_sum": 0.95, "meets_limit": True},
    }  # fmt: skip
    seen = []
    verb = lambda *given, **more: seen.append((given, more)) or found  # noqa: E731
    code, out, _ = command("ensemble", "runs/x", "--limit", "latency_ms<=2", "--parallel", "--arch", "a", ensemble=verb)
    text = flat(out)
    assert code == 0 and "+0.50 pt (-0.25 to +1.25): no gain that shows" in text and "12.5 %" in text
    assert "1.5 ms (1.25–1.75), 0.950 of the members' sum; the limit is met" in text and "→ e.onnx" in text
    (given, more), *_ = seen
    assert given == (CAMPAIGN, ["latency_ms<=2"], None) and more["parallel"] and more["arch"] == ["a"]
    assert (more["fusion"], more["members"], more["measure"], more["output"]) == ("probabilities", 4, False, None)
    _, out, _ = command("ensemble", "runs/x", "--limit", "latency_ms<=2", "--json", ensemble=verb)
    assert json.loads(out)["gain"] == 0.5


def test_a_plan_says_what_it_is_learnt_from_and_that_its_front_is_predicted(command) -> None:
    from hwsearch.campaigns.steps.new_device import DevicePlan

    rows = pd.DataFrame({"arch_id": ["abc"], "genes": [{"depth": 2}], "latency_ms": [1.5]})
    found = DevicePlan("phone", {"cpu": 40}, 1, rows, "1 latencies; most like cpu", rows.assign(accuracy=70.0))
    seen = []
    verb = lambda *given, **more: seen.append((given, more)) or found  # noqa: E731
    code, out, _ = command("plan", "runs/x", "--device", "phone", "--samples", "5", "--measure", plan=verb)
    assert code == 0 and "cpu (40)" in out and "most like cpu" in flat(out) and "predicted front" in flat(out)
    assert seen == [((CAMPAIGN, "phone"), {"samples": 5, "measure": True, "coverage": 0.95})]
    _, out, _ = command("plan", "runs/x", "--json", plan=verb)
    assert json.loads(out)["sources"] == {"cpu": 40} and json.loads(out)["front"][0]["accuracy"] == 70.0

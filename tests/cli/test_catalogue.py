"""Commands that inspect and train: wrong words, exit codes, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROW = {"name": "mine", "subnets": 1.2e9, "macs_smallest": 1.5e6, "macs_largest": 9.25e6, "weights": "shipped"}


def flat(text: str) -> str:
    return " ".join(text.split())


def test_supernets_are_listed_with_their_size(command) -> None:
    verb = lambda action, name, *, output, supernet, force: [{**ROW, "summary": "a small one"}]  # noqa: E731
    code, out, _ = command("supernets", supernets=verb)
    assert code == 0
    assert flat(out) == "mine 1.2e+09 subnets, 1.5–9.2 M MACs, weights: shipped a small one"
    assert json.loads(command("supernets", "--json", supernets=verb)[1])["supernets"][0]["name"] == "mine"


@pytest.mark.parametrize("args", [("list", "mine"), ("show",), ("check",), ("remove", "mine")])
def test_an_action_without_its_name_or_unknown_is_a_wrong_command_line(command, args) -> None:
    code, _, err = command("supernets", *args, supernets=lambda *_, **__: pytest.fail("asked"))
    assert code == 2 and "supernets show NAME" in err


@pytest.mark.parametrize(("loads", "code"), [(True, 0), (False, 1)])
def test_a_file_that_does_not_load_ends_with_1(command, loads: bool, code: int) -> None:
    found = {"file": "w.pt", "loads": loads, "faults": ["a", "b"]}
    done, out, _ = command("supernets", "check", "w.pt", supernets=lambda *_, **__: found)
    assert done == code and "faults: a, b" in out


def test_every_family_that_a_file_does_not_fit_is_one_line(command) -> None:
    seen = []
    why = {"a": "2 of 9 tensors are missing: conv.1.weight,\nfc. Give\nanother file.", "b": "3 classes. No more."}

    def verb(action, name, *, output, supernet, force):
        seen.append(supernet)
        return {"file": "w.pt", "loads": False, "otherwise": why}

    code, out, _ = command("supernets", "check", "w.pt", "--supernet", "net.py:ENTRY", supernets=verb)
    assert code == 1 and seen == ["net.py:ENTRY"] and "otherwise" not in out
    assert out.splitlines()[-2:] == ["a: 2 of 9 tensors are missing: conv.1.weight, fc.", "b: 3 classes."]


def test_devices_of_a_campaign_are_asked_for_by_its_path(command) -> None:
    seen = []
    rows = [{"name": "one", "host": {"cpu": "x"}}]
    code, out, _ = command(
        "devices", "runs/x", devices=lambda campaign, trust: seen.append((str(campaign), trust)) or rows
    )
    assert code == 0 and seen == [("runs/x", False)] and flat(out) == "name: one host cpu: x"


def tables(found):
    return lambda *given, **more: found


def test_tables_that_are_damaged_are_counted_and_named_and_end_with_1(command) -> None:
    rows = [{"device": "a", "table": "t", "fault": None}, {"device": "b", "table": None, "fault": "it has [no] tables"}]
    code, out, _ = command("tables", "verify", tables=tables(rows))
    assert code == 1 and flat(out) == "1 of 2 tables are sound b/: it has [no] tables"
    code, out, _ = command("tables", "verify", tables=tables(rows[:1]))
    assert code == 0 and flat(out) == "1 of 1 tables are sound"


def test_tables_are_listed_a_line_each_and_one_is_shown_by_key(command) -> None:
    _, out, _ = command("tables", tables=tables([{"device": "a", "rows": 9, "note": None}]))
    assert flat(out) == "a · 9"
    _, out, _ = command("tables", "show", "a/t", tables=tables({"rows": 9}))
    assert flat(out) == "rows: 9"


def test_a_training_ends_with_the_scores_of_both_ends(command, tmp_path) -> None:
    seen = []
    ends = {n: {"top1": v, "standard_error": 0.4, "macs": 2.5e6} for n, v in (("smallest", 70.6), ("largest", 84.3))}
    card = {"score": {"name": "top-1", "unit": "%", "field": "top1"}, **ends}

    def train(recipe, data, folder, *, supernet, checkpoint, kernels, device, processes, module, progress, force, **at):
        assert device == "auto" and module is None
        assert at == {"scheduler": None, "certificates": None, "insecure": False}
        seen.append((recipe, str(data), str(folder), supernet, checkpoint and str(checkpoint), callable(progress)))
        assert kernels == ("eager" if supernet else "auto") and processes == (2 if supernet else 1)
        return card if recipe == "r" else {}

    args = ("--recipe", "r", "--data", "d.parquet", "--folder", "out")
    code, out, _ = command("train", *args, train=train)
    assert code == 0 and seen == [("r", "d.parquet", "out", None, None, True)]
    assert flat(out) == "smallest: top-1 70.6 ±0.8 %, 2.50 M MACs largest: top-1 84.3 ±0.8 %, 2.50 M MACs"
    command(
        "train",
        *args,
        "--supernet",
        "net.py:ENTRY",
        "--checkpoint",
        "w.pt",
        "--kernels",
        "eager",
        "--processes",
        "2",
        train=train,
    )
    assert seen[1][3:5] == ("net.py:ENTRY", "w.pt")
    assert command("train", "--recipe", "r", train=train)[0] == 2
    assert command("train", *args, "--kernels", "fast", train=train)[0] == 2
    assert command("train", *args, "--processes", "0", train=train)[0] == 2
    code, out, _ = command("train", "--recipe", "second", *args[2:], "--json", train=train)
    assert (code, out) == (0, "")  # one of torchrun's other processes


def test_a_training_on_a_cluster_is_told_where_it_is(command) -> None:
    seen = []
    options = ("--recipe", "r", "--data", "d", "--folder", "out", "--scheduler", "tls://lab:8786")
    verb = lambda *given, **more: seen.append([more[k] for k in ("scheduler", "certificates", "insecure")]) or {}  # noqa: E731
    assert command("train", *options, "--certificates", "certs", train=verb)[0] == 0
    assert command("train", *options[:6], "--scheduler", "tcp://127.0.0.1:8786", "--insecure", train=verb)[0] == 0
    assert seen == [["tls://lab:8786", Path("certs"), False], ["tcp://127.0.0.1:8786", None, True]]


def test_a_worker_of_a_cluster_may_train(command) -> None:
    seen = []
    verb = lambda action, place, **more: seen.append((action, more["devices"], more["training"])) or []  # noqa: E731
    assert command("cluster", "worker", "tls://lab:8786", "--training", cluster=verb)[0] == 0
    assert command("cluster", "worker", "tls://lab:8786", "--device", "box", cluster=verb)[0] == 0
    assert seen == [("worker", (), True), ("worker", ["box"], False)]


def test_the_doctor_passes_on_how_long_to_record_and_where(command, tmp_path) -> None:
    seen = []
    verb = lambda seconds, record, tick, force: seen.append((seconds, str(record))) or {"cpu": "x"}  # noqa: E731
    code, out, _ = command("doctor", "--seconds", "75", "--record", "t.csv", doctor=verb)
    assert code == 0 and seen == [(75.0, "t.csv")] and flat(out) == "cpu: x"
    assert command("doctor", "--seconds", "-1", doctor=verb)[0] == 2

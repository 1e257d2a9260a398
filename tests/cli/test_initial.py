"""`hwsearch init`: what it asks, again where an answer cannot be used, and what it writes."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from hwsearch.campaigns.loading import load_config
from hwsearch.cli.initial import Answers, check_answers, check_name, short_toml
from hwsearch.errors import HwsearchError
from tests.cli.calls import call


def test_init_writes_a_config_that_loads(monkeypatch, capsys, tmp_path):
    path = tmp_path / "c.toml"
    code, out, _ = call(monkeypatch, capsys, "init", str(path), "--limit", "<= 60 %", "--json")
    assert code == 0 and json.loads(out) == {"written": str(path)}
    code, _, err = call(monkeypatch, capsys, "init", str(path))
    assert code == 1 and "exists" in err
    code, _, err = call(monkeypatch, capsys, "init", str(tmp_path / "d.toml"), "--limit", "fast")
    assert code == 1 and "fast" in err and "Traceback" not in err


def test_init_asks_for_every_device_and_asks_again_in_words(monkeypatch, capsys, tmp_path):
    path = tmp_path / "asked.toml"
    answers = [
        "cifar10-mbv2",
        "cifar10-mbv3",
        "my box",
        "edge-box",
        "onnx",
        "onnxruntime",
        "CPU",
        "CUDAExecutionProvider",
    ]
    answers += ["none", "0", "2", "8", "y", "edge-box", "phone", "command", "1", "1", "n", "fast", "<= 60 %"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(answers) + "\n"))
    code, out, err = call(monkeypatch, capsys, "init", str(path), "--ask", "--json")
    assert code == 0, err
    assert json.loads(out) == {"written": str(path)}
    for words in (
        "'cifar10-mbv2'",
        "'my box'",
        "'onnx'",
        "'CPU' is not the name",
        "'none' is not a whole number",
        "'fast'",
    ):
        assert words in err, words
    assert err.count("Please answer again.") == 8 and "Traceback" not in err and "edge-box" in err
    config = load_config(path)
    assert [(d.name, d.runtime, d.threads, d.batch) for d in config.device] == [
        ("edge-box", "onnxruntime", 2, 8),
        ("phone", "command", 1, 1),
    ]
    assert config.device[0].provider == "CUDAExecutionProvider"
    assert [o.limit for o in config.objective][1] == "<= 60 %"


@pytest.mark.parametrize("full", [False, True])
def test_init_writes_few_lines_with_units_or_all(monkeypatch, capsys, tmp_path, full):
    path = tmp_path / "c.toml"
    options = ["--full"] if full else []
    assert call(monkeypatch, capsys, "init", str(path), "--no-ask", *options)[0] == 0
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(lines) > 40 if full else len(lines) <= 16
    assert full or all("#" in line for line in lines if "=" in line)
    assert load_config(path).device[0].name == "this-cpu"


def test_init_of_a_terminal_without_answers_is_not_asked_for_where_stdin_is_none(tmp_path):
    words = [sys.executable, "-m", "hwsearch", "init", str(tmp_path / "c.toml")]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0 and "Supernet" not in done.stderr and (tmp_path / "c.toml").exists()


@pytest.mark.parametrize("kind", ["supernets", "runtimes"])
def test_a_name_that_nobody_knows_is_answered_with_the_nearest(kind):
    with pytest.raises(HwsearchError) as caught:
        check_name(kind, "cifar10-mbv" if kind == "supernets" else "onnxrntime")
    assert ("cifar10-mbv3" if kind == "supernets" else "onnxruntime") in str(caught.value)


def test_what_the_defaults_write_is_a_campaign(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(short_toml(check_answers(Answers())))
    assert load_config(path).supernet.name == "cifar10-mbv3"

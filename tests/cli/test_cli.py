from __future__ import annotations

import errno
import inspect
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from hwsearch import api
from hwsearch._files import anything, write_file
from hwsearch.cli.app import PANELS, app
from hwsearch.cli.examples import EXAMPLES
from hwsearch.cli.render import print_mapping
from hwsearch.devices import TimingProtocol
from hwsearch.devices.traces import read_trace
from hwsearch.store import Store
from hwsearch.training.finetune import FinetuneConfig
from tests.cli.calls import call

COMMAND = [sys.executable, "-m", "hwsearch"]


def commands() -> set[str]:
    """Names of the functions behind the commands; a command has dashes for underscores."""
    return {c.name or c.callback.__name__ for c in app.registered_commands if c.callback is not None}


def typed(name: str) -> str:
    return name.replace("_", "-")


def test_the_help_shows_the_commands_in_groups(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "--help")
    places = [out.index(panel) for panel in PANELS]
    assert code == 0 and places == sorted(places)
    assert len(commands()) == 31 and all(f" {typed(name)} " in out for name in commands())
    code, out, _ = call(monkeypatch, capsys, "pick", "--help")
    assert code == 0 and "Pick the best measured subnet" in out and "Parameters" not in out


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_two_examples_that_can_be_parsed(name):
    command = typer.main.get_command(app).commands[typed(name)]
    for line in EXAMPLES[name]:
        program, verb, *words = shlex.split(line)
        assert (program, verb) == ("hwsearch", typed(name))
        command.make_context(name, words, resilient_parsing=False)
        assert line in (command.epilog or "")


def test_the_help_needs_no_heavy_package():
    heavy = ("torch", "pandas", "matplotlib", "scipy", "sklearn", "onnxruntime", "sqlalchemy", "optuna", "xgboost")
    code = f"import sys, hwsearch.cli.main; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_every_command_is_a_function_of_the_package_and_takes_json():
    for name in commands() - {"init"}:
        assert callable(getattr(api, name)), name
    for c in app.registered_commands:
        assert c.callback is not None and "as_json" in c.callback.__annotations__, c.callback.__name__


def test_options_have_the_names_of_the_functions_arguments():
    """Besides those that say how to open the campaign and how to print; one that may be repeated is singular here."""
    printing = {"operators": {"most"}}
    for c in app.registered_commands:
        name = c.name or c.callback.__name__
        if name == "init":
            continue
        own = set(inspect.signature(c.callback).parameters) - {"campaign", "as_json"} - printing.get(name, set())
        function = inspect.signature(getattr(api, name)).parameters
        taken = set(function) | {f.removesuffix("s") for f in function}
        if "settings" in function:
            taken |= {f.name for f in fields(FinetuneConfig)}
        if "campaign" in inspect.signature(c.callback).parameters:
            own -= {"folder"}
        assert own <= taken, name


def test_security_says_of_every_command_what_it_executes():
    """The first rows of its table name the verbs that open a campaign; these, and no others, take --trust."""
    text = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("## Which verb executes")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")][1:]
    *opening, rest = ({words.split()[0] for words in re.findall("`([^`]+)`", row)} for row in rows)
    trusting = {
        typed(c.name or c.callback.__name__)
        for c in app.registered_commands
        if "trust" in inspect.signature(c.callback).parameters
    }
    assert set().union(*opening) == trusting and trusting | rest == {typed(name) for name in commands()}


@pytest.fixture
def quick_doctor(monkeypatch):
    """Doctor times few and short blocks: here only what it says of them is looked at."""
    quick = TimingProtocol(processes=(2, 2), loads=1, visits=2, block_ms=0.2, warmup_ms=1.0)
    monkeypatch.setattr("hwsearch.api.inspection.TimingProtocol", lambda: quick)


@pytest.mark.parametrize("args", [("supernets",), ("devices",), ("supernets", "show", "cifar10-mbv3"), ("doctor",)])
def test_json_is_one_object_on_stdout(monkeypatch, capsys, quick_doctor, args):
    code, out, _ = call(monkeypatch, capsys, *args, "--json")
    assert code == 0 and isinstance(json.loads(out), dict)


def test_doctor_records_the_host_and_prints_words_in_brackets(monkeypatch, capsys, quick_doctor, tmp_path):
    """Two seconds are too few for a verdict, and it says so; what stands in brackets is no markup."""
    trace = tmp_path / "host.csv"
    code, out, _ = call(monkeypatch, capsys, "doctor", "--seconds", "2", "--record", str(trace), "--json")
    found = json.loads(out)["host_speed"]
    assert code == 0 and found["verdict"] == "unknown" and found["typical_ms"] > 0 and found["undisturbed_ms"] is None
    assert set(found["another_campaign_percent"].values()) == {None} and len(read_trace(trace)) >= 2
    code, _, err = call(monkeypatch, capsys, "doctor", "--record", str(trace))
    assert (
        code == 1 and "recording a trace needs a duration, got 0 s" in err and "--seconds 120" in " ".join(err.split())
    )
    print_mapping({"advice": "raise [protocol] loads", "[x]": ["[y]"]})
    assert capsys.readouterr().out == "advice: raise [protocol] loads\n[x]: [y]\n"


FORBIDDEN = (
    "torch", "sklearn", "pandas", "matplotlib", "scipy", "optuna", "pymoo", "onnxruntime", "xgboost", "pyarrow", "sqlalchemy"
)  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["--help"], ["-h"], ["--version"], ["run", "--help"], ["pick", "-h"], ["frnt"], ["pick"], ["init", "{path}"],
        ["init", "{path}", "--supernet", "cifar10-mbv2"], ["init", "{path}", "--full"], ["supernets", "bogus"],
    ],
)  # fmt: skip
def test_help_version_init_and_wrong_usage_import_no_heavy_package(tmp_path, words):
    given = [word.format(path=tmp_path / "c.toml") for word in words]
    command = [sys.executable, "-X", "importtime", "-m", "hwsearch", *given]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "hwsearch.cli.main" in imported and not imported & set(FORBIDDEN)
    assert done.returncode in (0, 1, 2) and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (("run", "nowhere.toml"), 1, "nowhere.toml"),
        (("supernets", "show", "cifar10-mbv2"), 1, "cifar10-mbv3"),
        (("supernets", "check", "nowhere.pth"), 1, "nowhere.pth"),
        (("supernets", "shw"), 2, "supernets show NAME"),
        (("pick",), 2, "CAMPAIGN"),
        (("frobnicate",), 2, "frobnicate"),
        (("train", "--recipe", "cifar", "--data", "x", "--folder", "y"), 1, "cifar10-mbv3"),
    ],
)
def test_wrong_words_are_answered_in_a_sentence(monkeypatch, capsys, args, code, text):
    found, _, err = call(monkeypatch, capsys, *args)
    assert found == code and text in err and "Traceback" not in err


def test_an_error_is_json_too(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "run", "nowhere.toml", "--json")
    assert code == 1 and json.loads(out)["error"] == "CampaignError"


def test_ctrl_c_keeps_the_state_and_says_so(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('[profile]\nlatency = 60\n[[device]]\nname = "one"\n')
    folder = tmp_path / "c"
    # tests that run in the background of a shell ignore Ctrl-C, and so would all that they start
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [*COMMAND, "run", str(config), "--folder", str(folder)], stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 120
    while not (folder / "log.txt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.0)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err and "Traceback" not in err
    assert Store.open(folder / "store.sqlite").runs()[-1].status == "interrupted"


def test_a_full_disk_is_a_sentence_and_keeps_what_was_measured(tmp_path, monkeypatch):
    """The system answers with 'no space left'; what was there stays, and nothing half written does."""
    target = tmp_path / "front.csv"
    target.write_text("old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("latency_tables.writing.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_file(target, b"new" * 10000, anything)
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_a_shell_completes_commands():
    environment = os.environ | {"_HWSEARCH_COMPLETE": "complete_bash", "COMP_WORDS": "hwsearch pi", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['hwsearch']; from hwsearch.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["pick"]

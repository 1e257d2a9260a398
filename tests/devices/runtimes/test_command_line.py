from __future__ import annotations

import sys

import pytest

from hwsearch.devices import Device
from hwsearch.devices.runtimes import command_line
from hwsearch.devices.runtimes.command_line import (
    CommandOptions,
    command_options,
    command_words,
    fill,
    placeholders,
    run_command,
)
from hwsearch.errors import DeviceError

BOARD = Device("board", "command")


def python(body: str) -> list[str]:
    return [sys.executable, "-c", body]


def test_options_have_defaults_and_kinds():
    assert command_options(BOARD) == CommandOptions("", "", 60.0)
    assert command_options(Device("board", "command", options={"timeout_s": 2})).timeout_s == 2
    for options, words in (
        ({"comand": "x"}, "unknown option 'comand'. Did you mean 'command'"),
        ({"timeout_s": 0}, "timeout_s = 0 is not a positive number"),
        ({"timeout_s": True}, "timeout_s = True"),
        ({"timeout_s": float("inf")}, "timeout_s = inf"),
        ({"command": 3}, "option command = 3 is not a text"),
    ):
        with pytest.raises(DeviceError, match=words):
            command_options(Device("board", "command", options=options))


def test_words_are_a_shells_and_placeholders_are_checked():
    text = f"{sys.executable} 'a b.py' --model={{model}} {{runs}}"
    words = command_words(BOARD, text, ("model", "runs"), ("model", "runs"))
    assert words == [sys.executable, "a b.py", "--model={model}", "{runs}"]
    assert placeholders(words) == ["model", "runs"]
    assert fill(words, {"model": "m.onnx", "runs": 3, "more": 1})[2:] == ["--model=m.onnx", "3"]
    for wrong, said in (
        ("", "has no command"),
        ("x 'y", "cannot be split"),
        (f"{sys.executable} {{model}}", "has no {runs}"),
        (f"{sys.executable} {{model}} {{runs}} {{rnus}}", "{rnus} in the command .* stands for nothing"),
        ("no-such-program {model} {runs}", "no executable 'no-such-program'"),
    ):
        with pytest.raises(DeviceError, match=said.replace("{", r"\{").replace("}", r"\}")):
            command_words(BOARD, wrong, ("model", "runs"), ("model", "runs"))


def test_both_outputs_and_the_status_come_back():
    done = run_command(BOARD, python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"), 60)
    assert (done.code, done.out, done.errors) == (3, "out\n", "err\n")


def test_of_a_long_output_the_end_is_read(monkeypatch):
    monkeypatch.setattr(command_line, "TAIL_BYTES", 10)
    assert run_command(BOARD, python("print('x' * 1000 + 'the end')"), 60).out == "xxthe end\n"


def test_after_the_timeout_there_is_no_status_and_no_input_is_waited_for():
    assert run_command(BOARD, python("import time; time.sleep(600)"), 0.2).code is None
    assert run_command(BOARD, python("import sys; print(repr(sys.stdin.read()))"), 60).out == "''\n"


def test_what_cannot_be_started_is_a_device_error(tmp_path):
    with pytest.raises(DeviceError, match=r"'board': the command .* cannot be started"):
        run_command(BOARD, [str(tmp_path)], 60)

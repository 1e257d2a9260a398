from __future__ import annotations

import math

import pytest

from hwsearch.devices import Device
from hwsearch.devices.runtimes.command_answer import (
    check_same_facts,
    command_problem,
    count_nodes,
    is_number,
    parse_answer,
    same_provider,
    validate_answer,
)
from hwsearch.errors import MeasurementError, ProviderError

BOARD = Device("board", "command", provider="cpu")
WORDS = ["measure", "a model.onnx"]
GOOD = {"latency_ms": [1.0, 2], "provider": "CPUExecutionProvider"}


def test_the_last_line_that_is_not_empty_is_read():
    assert parse_answer(BOARD, WORDS, 'hello\n{"a": 1}\n\n', "") == {"a": 1}
    for out, said in (("", "printed nothing"), ("oh no\n", "printed 'oh no'"), ("[1]\n", r"printed '\[1\]'")):
        with pytest.raises(MeasurementError, match=f"'board'.*'a model.onnx'' {said} where a JSON object belongs"):
            parse_answer(BOARD, WORDS, out, "")


def test_the_end_of_standard_error_is_quoted_on_one_line():
    said = command_problem(BOARD, WORDS, "failed", "\n".join(f"line {i}" for i in range(9)) + "\n\n")
    assert said.endswith("failed. It said: line 5 / line 6 / line 7 / line 8")


def test_a_true_answer_is_returned_as_it_is():
    assert validate_answer(BOARD, WORDS, GOOD, 2) is GOOD
    with pytest.raises(MeasurementError, match="'board': out of memory"):
        validate_answer(BOARD, WORDS, {"failure": "out of memory"}, 2)
    with pytest.raises(ProviderError, match="asked for 'cpu', but 'npu' ran"):
        validate_answer(BOARD, WORDS, GOOD | {"provider": "npu"}, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"provider": ""},
        {"provider": None},
        {"latency_ms": 1.0},
        {"latency_ms": [1.0]},
        {"latency_ms": [1.0, 0.0]},
        {"latency_ms": [1.0, -1.0]},
        {"latency_ms": [1.0, math.nan]},
        {"latency_ms": [1.0, True]},
        {"latency_ms": [1.0, "2"]},
        {"peak_memory_mib": -1},
        {"energy_mj": math.inf},
    ],
)
def test_what_cannot_be_true_is_not_believed(change):
    with pytest.raises(MeasurementError, match="answered what cannot be true"):
        validate_answer(BOARD, WORDS, GOOD | change, 2)


def test_nodes_are_counted_where_the_command_counts_them():
    assert count_nodes(BOARD, WORDS, GOOD) == {"CPUExecutionProvider": 1}
    assert count_nodes(BOARD, WORDS, GOOD | {"nodes": {"CPU": 7}}) == {"CPU": 7}
    with pytest.raises(ProviderError, match="2 of 9 nodes ran on npu"):
        count_nodes(BOARD, WORDS, GOOD | {"nodes": {"CPU": 7, "npu": 2}})
    for nodes in ({}, {"CPU": 0}, {"CPU": True}, [7]):
        with pytest.raises(MeasurementError, match='"nodes" is'):
            count_nodes(BOARD, WORDS, GOOD | {"nodes": nodes})


def test_facts_that_change_name_the_first_difference():
    check_same_facts(BOARD, {"soc": "a"}, {"soc": "a"})
    for was, now, said in (
        ({"soc": "a", "os": 1}, {"soc": "a", "os": 2}, "os was 1 and is 2"),
        ({"soc": "a"}, {"soc": "a", "fan": 1}, "fan was None and is 1"),
        ("a", "b", "its facts were 'a' and are 'b'"),
    ):
        with pytest.raises(MeasurementError, match=said):
            check_same_facts(BOARD, was, now)


def test_names_of_providers_and_numbers():
    assert same_provider("XNNPACK", "XnnpackExecutionProvider") and not same_provider("cpu", "cuda")
    assert [is_number(v) for v in (1, 1.5, True, math.nan, "1", None)] == [True, True, False, False, False, False]

"""Settings of ONNX Runtime."""

from __future__ import annotations

import dataclasses

import onnxruntime
import pytest

from hwsearch.devices import (
    Device,
    create_runtime,
)
from hwsearch.devices.host import usable_cores
from hwsearch.devices.runtimes.onnx_options import provider_name
from hwsearch.errors import DeviceError


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"threads": usable_cores() + 1}, "threads"),
        ({"precision": "int4"}, "int4"),
        ({"options": {"spining": True}}, "spinning"),
        ({"options": {"optimization": "alll"}}, "'all'"),
        ({"runtime": "onnxruntim"}, "onnxruntime"),
    ],
)
def test_settings_that_cannot_be_met(change, text):
    with pytest.raises(DeviceError, match=text):
        create_runtime(dataclasses.replace(Device("d"), **change))


def test_short_names_of_providers():
    assert provider_name("cuda") == provider_name("CUDAExecutionProvider") == "CUDAExecutionProvider"
    assert create_runtime(Device("d", provider="cpu")).facts()["provider"] == "CPUExecutionProvider"
    for full in onnxruntime.get_all_providers():
        assert provider_name(full.removesuffix("ExecutionProvider").lower()) == provider_name(full) == full
    assert provider_name("directml") == "DmlExecutionProvider" and provider_name("hexagon") == "hexagon"


def test_settings_reach_the_session():
    options = {
        "optimization": "extended",
        "spinning": True,
        "parallel": True,
        "inter_op_threads": 2,
        "arena": False,
        "session.set_denormal_as_zero": True,
        "session.dynamic_block_base": 4,
    }
    made = create_runtime(Device("d", options=options)).session_options()
    assert (made.intra_op_num_threads, made.inter_op_num_threads) == (1, 2)
    assert made.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL and not made.enable_cpu_mem_arena
    assert made.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    entries = {k: made.get_session_config_entry(k) for k in ("session.intra_op.allow_spinning", *list(options)[-2:])}
    assert list(entries.values()) == ["1", "1", "4"]

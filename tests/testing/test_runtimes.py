"""The suite of runtimes passes for a sound one, and each fault of a runtime fails the promise that it breaks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from hwsearch.devices import Device, Runtime
from hwsearch.errors import DeviceError, MeasurementError
from hwsearch.testing import RuntimeConformance


class Session:
    """Its runs take as long as they are told to."""

    def __init__(self, workload: Any) -> None:
        self.workload = workload

    def time(self, runs: int) -> list[float]:
        return [1.0] * runs

    def close(self) -> None:
        pass


class Sound:
    """A runtime that keeps every promise without running anything."""

    form = "torch"

    def __init__(self, device: Device) -> None:
        if "no-such-option" in device.options or device.precision == "fp3":
            raise DeviceError(f"device {device.name!r} does not know that.")
        self.device = device

    def facts(self) -> dict[str, Any]:
        return {"cpu": "a", **self.device.settings}

    def _check(self, workload: Any) -> None:
        if workload.arch_id == "refused":
            raise DeviceError(f"device {self.device.name!r} cannot run it.")
        if workload.arch_id == "nan":
            raise MeasurementError(f"output 'logits' on {self.device.name!r} is not finite.")

    def load(self, workload: Any) -> Session:
        self._check(workload)
        return Session(workload)

    def verify(self, workload: Any) -> dict[str, int]:
        self._check(workload)
        return {"here": len(workload.parts)}

    def footprint(self, workload: Any) -> dict[str, float]:
        return {"energy_mj": 1.0, "energy_mj_spread": 0.1, "memory_mib": 2.0}


def suite(cls: type[Sound]) -> RuntimeConformance:
    class Suite(RuntimeConformance):
        changes = ({"threads": 2}, {"batch": 3})
        refused = ({"precision": "fp3"},)

        def device(self) -> Device:
            return Device("mine", "sound")

        def make(self, device: Device) -> Runtime:
            return cls(device)  # type: ignore[return-value]

    return Suite()


PROMISES = [name for name in vars(RuntimeConformance) if name.startswith("test_")]


@pytest.mark.parametrize("name", PROMISES)
def test_a_sound_runtime_passes(name: str) -> None:
    getattr(suite(Sound), name)()


def spoil(workload: Any) -> None:
    with torch.no_grad():
        next(workload.parts[0].module.parameters()).add_(1.0)


FAULTS: list[tuple[str, dict[str, Callable[..., Any]], str]] = [
    ("form", {"form": "tensors"}, "test_is_of_a_known_form"),  # type: ignore[dict-item]
    ("facts change", {"facts": lambda self: {"at": id(object()), "n": id(self)}}, "test_facts_are_json_and_stable"),
    ("facts without the name", {"facts": lambda self: {"cpu": "a"}}, "test_facts_are_json_and_stable"),
    (
        "settings forgotten",
        {"facts": lambda self: {"threads": self.device.threads}},
        "test_fingerprint_changes_with_each_setting_and_not_with_the_name",
    ),
    (
        "the name is a fact",
        {"facts": lambda self: {"name": self.device.name, **self.device.settings}},
        "test_fingerprint_changes_with_each_setting_and_not_with_the_name",
    ),
    (
        "metrics without unit",
        {"footprint": lambda self, w: {"energy": 1.0}},
        "test_footprint_is_numbers_with_units",
    ),
    (
        "negative metrics",
        {"footprint": lambda self, w: {"energy_mj": -1.0}},
        "test_footprint_is_numbers_with_units",
    ),
    ("weights changed", {"_check": lambda self, w: spoil(w)}, "test_leaves_the_workload_and_torch_as_they_were"),
    ("nothing counted", {"verify": lambda self, w: {}}, "test_verify_counts_what_ran_where"),
    ("zero counted", {"verify": lambda self, w: {"here": 0}}, "test_verify_counts_what_ran_where"),
    ("parts forgotten", {"verify": lambda self, w: {"here": 1}}, "test_runs_workloads_of_several_models"),
]


@pytest.mark.parametrize(("methods", "promise"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_fault_breaks_its_promise(methods: dict[str, Any], promise: str) -> None:
    with pytest.raises(AssertionError):
        getattr(suite(type("Faulty", (Sound,), methods)), promise)()


@pytest.mark.parametrize(
    "times", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, math.nan], [1.0, math.inf], [1, 2], (1.0, 2.0)]
)
def test_times_are_as_many_positive_floats_as_asked_for(times: Any) -> None:
    class Faulty(Sound):
        def load(self, workload: Any) -> Session:
            session = Session(workload)
            session.time = lambda runs: times if runs == 2 else [1.0] * runs  # type: ignore[method-assign]
            return session

    with pytest.raises(AssertionError):
        suite(Faulty).test_times_as_many_runs_as_asked_for()


def test_a_refusal_is_one_line_that_names_the_device() -> None:
    for words in ("device 'mine' cannot.\nTraceback", "cannot run it."):

        class Faulty(Sound):
            def _check(self, workload: Any, words: str = words) -> None:
                if workload.arch_id == "refused":
                    raise DeviceError(words)

        with pytest.raises(AssertionError):
            suite(Faulty).test_a_workload_that_cannot_run_is_refused_in_one_line()

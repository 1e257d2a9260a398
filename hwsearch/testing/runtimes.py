"""Conformance of device runtimes: subclass, say which device and workload, and let pytest run it.

Examples
--------
>>> from hwsearch.devices import Device
>>> class TestMine(RuntimeConformance):
...     def device(self):
...         return Device("mine", "my-runtime")
...
...     changes = ({"threads": 2}, {"options": {"mode": "fast"}})
...     refused = ({"precision": "fp3"},)
"""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from hwsearch.devices import Device, Model, Runtime, Workload, create_runtime, fingerprint
from hwsearch.errors import DeviceError, MeasurementError
from hwsearch.tasks.inputs import image
from hwsearch.testing.small_workloads import SHAPE, RefusedNet, SmallNet, small_onnx


def _part(factor: float = 1.0, runs: int = 1) -> Model:
    torch.manual_seed(0)
    return Model(image(SHAPE), small_onnx(factor), SmallNet(factor).eval(), runs)


class RuntimeConformance:
    """Conformance suite of `Runtime`: its promises as tests, one a method.

    Runtimes of form ``onnx`` and ``torch`` are given small networks; those of form ``genes`` override `workload` and
    `refused_workload`.

    Attributes
    ----------
    changes : tuple of mapping
        Settings of `Device`, each of which makes another device.
    refused : tuple of mapping
        Settings that it must refuse, with a typed error that names the device.
    output : str
        How errors name the output of `not_finite`.
    """

    changes: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    refused: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    output: ClassVar[str] = "logits"

    @abstractmethod
    def device(self) -> Device:
        """Return a device of this runtime that is here.

        Returns
        -------
        Device
            The same at each call.
        """

    def make(self, device: Device) -> Runtime:
        """Create the runtime of a device; override it to hand over a fake driver.

        Parameters
        ----------
        device : Device
            Its settings.

        Returns
        -------
        Runtime
            New at each call.
        """
        return create_runtime(device)

    # ------------------------------------------------------------------ workloads
    def workload(self) -> Workload:
        """Make a workload that runs.

        Returns
        -------
        Workload
            Of one small network.
        """
        return Workload((_part(),), "small")

    def parts(self) -> Workload | None:
        """Make a workload of two models, the second run three times.

        Returns
        -------
        Workload or None
            None where workloads have no parts.
        """
        return None if self.make(self.device()).form == "genes" else Workload((_part(), _part(runs=3)), "parts")

    def not_finite(self) -> Workload | None:
        """Make a workload whose output is NaN.

        Returns
        -------
        Workload or None
            None where no outputs are computed.
        """
        return None if self.make(self.device()).form == "genes" else Workload((_part(math.nan),), "nan")

    def refused_workload(self) -> Workload:
        """Make a workload that cannot run.

        Returns
        -------
        Workload
            That `load` and `verify` must refuse.
        """
        onnx = small_onnx(pool="NoSuchOperator")
        return Workload((Model(image(SHAPE), onnx, RefusedNet().eval()),), "refused")

    # ------------------------------------------------------------------ facts
    def test_is_of_a_known_form(self) -> None:
        """The runtime says what it needs of a workload."""
        assert self.make(self.device()).form in ("onnx", "torch", "genes")

    def test_facts_are_json_and_stable(self) -> None:
        """Facts can be written as JSON, and neither a run nor a second runtime changes them."""
        runtime = self.make(self.device())
        text = json.dumps(runtime.facts(), sort_keys=True, allow_nan=False)
        runtime.load(self.workload()).time(2)
        assert json.dumps(runtime.facts(), sort_keys=True, allow_nan=False) == text
        assert json.dumps(self.make(self.device()).facts(), sort_keys=True, allow_nan=False) == text
        name = runtime.facts().get("runtime")
        assert name == self.device().runtime, (
            f"facts()['runtime'] must be the runtime's name, got {name!r}: add device.settings"
        )

    def test_fingerprint_changes_with_each_setting_and_not_with_the_name(self) -> None:
        """Each of `changes` makes another fingerprint; another name does not."""
        device = self.device()
        base = fingerprint(self.make(device).facts())
        assert fingerprint(self.make(replace(device, name="another")).facts()) == base
        found = {base}
        for change in self.changes:
            found.add(fingerprint(self.make(_changed(device, change)).facts()))
        assert len(found) == 1 + len(self.changes), "two of the changes make the same device"

    def test_refuses_bad_settings(self) -> None:
        """An unknown option and each of `refused` is a `DeviceError` that names the device."""
        device = self.device()
        for change in ({"options": {"no-such-option": 1}}, *self.refused):
            with pytest.raises(DeviceError) as caught:
                self.make(_changed(device, change))
                pytest.fail(f"the runtime took {change}: raise a DeviceError that names the device")
            assert device.name in str(caught.value), f"the error for {change} does not name the device: {caught.value}"

    # ------------------------------------------------------------------ sessions
    def test_times_as_many_runs_as_asked_for(self) -> None:
        """Times are so many finite, positive floats."""
        session = self.make(self.device()).load(self.workload())
        for method in ("time", "close"):
            assert callable(getattr(session, method, None)), (
                f"the session that `load` returned, a {type(session).__name__}, has no method `{method}`: "
                "derive it from HostClock, or write time(runs) and close()"
            )
        for runs in (1, 2, 5, 1):
            times = session.time(runs)
            assert isinstance(times, list), f"time(runs) must return a list of milliseconds, got {type(times).__name__}"
            assert len(times) == runs, f"time({runs}) returned {len(times)} times"
            for t in times:
                assert type(t) is float and math.isfinite(t) and t > 0, f"a time must be a float above 0 ms, got {t!r}"
        session.close()

    def test_sessions_live_side_by_side_and_one_may_close_before_the_other(self) -> None:
        """Two sessions are timed in turn, and closing one leaves the other."""
        runtime = self.make(self.device())
        one, two = runtime.load(self.workload()), runtime.load(self.workload())
        for _ in range(2):
            assert len(one.time(2)) == len(two.time(2)) == 2
        one.close()
        assert len(two.time(3)) == 3
        two.close()
        runtime.load(self.workload()).close()

    def test_runs_workloads_of_several_models(self) -> None:
        """A workload of parts is timed as one inference, and each part is verified once."""
        workload = self.parts()
        if workload is None:
            pytest.skip("its workloads have no parts")
        runtime = self.make(self.device())
        session = runtime.load(workload)
        assert len(session.time(3)) == 3
        session.close()
        assert sum(runtime.verify(workload).values()) == 2 * sum(runtime.verify(self.workload()).values())

    def test_leaves_the_workload_and_torch_as_they_were(self) -> None:
        """Neither weights nor torch's threads and modes change."""
        workload = self.workload()
        modules = [part.module for part in workload.parts if part.module is not None]
        before = [{k: v.clone() for k, v in m.state_dict().items()} for m in modules]
        threads, enabled = torch.get_num_threads(), torch.is_grad_enabled()
        runtime = self.make(self.device())
        runtime.load(workload).time(2)
        runtime.verify(workload)
        assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, enabled)
        assert not torch.is_inference_mode_enabled()
        for module, state in zip(modules, before, strict=True):
            now = module.state_dict()
            assert all(now[k].dtype == v.dtype and torch.equal(now[k], v) for k, v in state.items())

    # ------------------------------------------------------------------ checks
    def test_verify_counts_what_ran_where(self) -> None:
        """Counts are positive, by the names of places."""
        counts = self.make(self.device()).verify(self.workload())
        assert counts and all(isinstance(k, str) and type(n) is int and n > 0 for k, n in counts.items())

    def test_outputs_that_are_not_finite_fail_the_measurement(self) -> None:
        """NaN in an output is a `MeasurementError` that names output and device."""
        workload = self.not_finite()
        if workload is None:
            pytest.skip("it computes no outputs")
        runtime = self.make(self.device())
        for use in (runtime.load, runtime.verify):
            with pytest.raises(MeasurementError) as caught:
                use(workload)
                pytest.fail(
                    f"`{use.__name__}` took a model whose output {self.output!r} is NaN; where the runtime computes no "
                    "outputs, let the suite's not_finite() return None"
                )
            assert self.output in str(caught.value) and self.device().name in str(caught.value)

    def test_a_workload_that_cannot_run_is_refused_in_one_line(self) -> None:
        """A refused workload is a `DeviceError` on one line, and the runtime goes on."""
        runtime = self.make(self.device())
        for use in (runtime.load, runtime.verify):
            with pytest.raises(DeviceError) as caught:
                use(self.refused_workload())
                pytest.fail(
                    f"`{use.__name__}` took a model with an operator that does not exist: raise a DeviceError that names "
                    "the device"
                )
            assert self.device().name in str(caught.value) and "\n" not in str(caught.value)
        assert len(runtime.load(self.workload()).time(1)) == 1  # and it goes on

    def test_footprint_is_numbers_with_units(self) -> None:
        """Further metrics are finite numbers whose names end with their unit."""
        runtime = self.make(self.device())
        footprint = getattr(runtime, "footprint", None)
        if footprint is None:
            pytest.skip("it meters nothing but time")
        found = footprint(self.workload())
        for name, value in found.items():
            assert type(value) is float and math.isfinite(value) and value >= 0, name
            assert any(name.removesuffix("_spread").endswith(unit) for unit in ("_mib", "_mj")), name


def _changed(device: Device, change: Mapping[str, Any]) -> Device:
    """Make the device with other settings; options are added to those it has."""
    options = {**device.options, **change.get("options", {})}
    return replace(device, **{**change, "options": options})

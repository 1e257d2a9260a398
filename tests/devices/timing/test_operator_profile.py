"""Times of operators, against a made-up host."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsearch.devices import Workload
from hwsearch.devices.operators import ExecutedKernel, Profile, Signature
from hwsearch.devices.runtimes.base import Model
from hwsearch.devices.timing import operator_profile
from hwsearch.devices.timing.operator_profile import profile_operators


class Host:
    """Profiles of made-up networks on a host whose speed changes; the profiler adds 4 µs to a kernel."""

    def __init__(self, us: dict[str, float], nets: list[list[str]]) -> None:
        self.us, self.nets, self.factor = us, nets, 1.0
        self.now, self.rng = 0, np.random.default_rng(0)

    def profile(self, runtime, model, *, runs):
        self.now += 1
        slow = self.factor * (1 + 0.3 * math.sin(self.now / 40) ** 2)
        names = self.nets[int(model.onnx)]
        noise = lambda: slow * self.rng.normal(1, 0.02, runs)  # noqa: E731
        found = [ExecutedKernel(n, signature(n), tuple((self.us[n] + 4) * noise())) for n in names]
        return Profile(tuple(found), tuple(sum(self.us[n] for n in names) / 1e3 * noise()))

    def works(self):
        return [lambda i=i: Workload((Model((), str(i).encode()),)) for i in range(len(self.nets))]


def signature(name: str) -> Signature:
    return Signature(name, "CPU", "fp32", (), (), {})


def test_the_host_and_the_profiler_are_taken_out(monkeypatch):
    rng = np.random.default_rng(5)
    us = {f"Op{i}": float(v) for i, v in enumerate(rng.uniform(1, 20, 30))} | {"Nothing": 0.0}
    nets = [[*rng.choice(list(us)[:-1], 25), "Nothing"] for _ in range(12)]
    host = Host(us, nets)
    monkeypatch.setattr(operator_profile, "profile", host.profile)
    found = profile_operators(None, host.works(), host.works()[0], rng, rounds=6, runs=40)
    assert found.profiler_ms == pytest.approx(4e-3, rel=0.05)
    names = [n for n in us if signature(n).id in found.operators]
    got = np.array([found.operators[signature(n).id].ms for n in names])
    assert len(names) == len({n for net in nets for n in net}) and (got >= 0).all()
    np.testing.assert_allclose(got * 1e3, [us[n] for n in names], rtol=0.03, atol=0.2)
    # a later session, on a host that is slower throughout, is brought to the first one's speed
    host.factor = 1.5
    again = profile_operators(
        None, host.works(), host.works()[0], rng, rounds=6, runs=40, reference_ms=found.reference_ms
    )
    assert again.reference_ms == pytest.approx(1.5 * found.reference_ms, rel=0.03)
    later = np.array([again.operators[signature(n).id].ms for n in names])
    np.testing.assert_allclose(later * 1e3, [us[n] for n in names], rtol=0.04, atol=0.25)

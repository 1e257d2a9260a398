"""A runtime that lacks what the engine will call is refused when it is created, in words."""

from __future__ import annotations

import pytest

from hwsearch.devices import Device, create_runtime
from hwsearch.errors import PluginError
from hwsearch.registry import Registry


class Complete:
    form = "onnx"

    def __init__(self, device: Device) -> None:
        self.device = device

    def facts(self) -> dict[str, object]:
        return {}

    def load(self, workload: object) -> None:
        return None

    def verify(self, workload: object) -> dict[str, int]:
        return {}


class Unverified(Complete):
    verify = None  # type: ignore[assignment]


class OtherForm(Complete):
    form = "tflite"


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        (Unverified, "runtime 'mine' has no method verify"),
        (OtherForm, "form of runtime 'mine' must be one of onnx, torch, genes, got 'tflite'"),
    ],
)
def test_a_runtime_that_is_not_complete(monkeypatch: pytest.MonkeyPatch, runtime: type, words: str) -> None:
    monkeypatch.setattr(Registry, "load", lambda self, name, **_: runtime)
    with pytest.raises(PluginError, match=words):
        create_runtime(Device("box", "mine"))


def test_a_runtime_that_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "load", lambda self, name, **_: Complete)
    assert isinstance(create_runtime(Device("box", "mine")), Complete)

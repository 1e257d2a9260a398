"""How threads wait, here and in measuring processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hwsearch._package import let_threads_sleep, measuring_environment

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "HWSEARCH_OMP_WAIT_POLICY")


@pytest.fixture(autouse=True)
def _no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_threads_sleep_here_and_wait_as_ever_where_latencies_are_measured() -> None:
    let_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert not set(NAMES) & measuring_environment().keys()


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_what_the_user_says_holds_everywhere(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "7")
    let_threads_sleep()
    assert {n: os.environ.get(n) for n in NAMES if n in os.environ} == {name: "7"}
    assert measuring_environment()[name] == "7"


@pytest.mark.parametrize("module", ["hwsearch.api", "hwsearch.campaigns"])
def test_it_is_said_before_torch_is_imported(module: str) -> None:
    code = f"import os, sys, {module}; print(os.environ.get('OMP_WAIT_POLICY'), 'torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["PASSIVE", "False"]

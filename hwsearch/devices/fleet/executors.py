"""Who measures: executors that do one job, and what keeps workers out of each other's way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hwsearch.devices.fleet import worker

Tick = Callable[[float], None]


class Executor(Protocol):
    """Does one job of a device and returns its checked answer; see `hwsearch.devices.fleet.worker`."""

    def run(
        self, job: Mapping[str, Any], files: Mapping[str, bytes], deadline_s: float, tick: Tick | None = None
    ) -> dict[str, Any]:
        """Raises `WorkerError` when the measuring process failed, another typed error when the device did."""
        ...


def module_of(job: Mapping[str, Any]) -> str:
    """The program that can do a job: torch modules are built from the catalogue, which takes longer to start."""
    return "hwsearch.devices.fleet.torch_worker" if job["form"] == "torch" else worker.MODULE


class Isolated:
    """A fresh process a job: whatever happens there, this one goes on."""

    def run(
        self, job: Mapping[str, Any], files: Mapping[str, bytes], deadline_s: float, tick: Tick | None = None
    ) -> dict[str, Any]:
        return worker.run_job(job, files, deadline_s, module=module_of(job), tick=tick)


class InProcess:
    """This process: no start-up time, no deadline, and no protection."""

    def run(
        self, job: Mapping[str, Any], files: Mapping[str, bytes], deadline_s: float, tick: Tick | None = None
    ) -> dict[str, Any]:
        build: worker.Builder | None = None
        if job["form"] == "torch":
            from hwsearch.devices.fleet import torch_worker

            build = torch_worker.build
        return worker.check_answer(job, worker.do(job, files, tick, build))

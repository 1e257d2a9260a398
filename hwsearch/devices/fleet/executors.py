"""Executors: who does one job of a device."""

from __future__ import annotations

from typing import Protocol

from typing_extensions import override

from hwsearch.devices.fleet import worker
from hwsearch.devices.fleet.isolation import MODULE, run_job
from hwsearch.devices.fleet.jobs import Files, Tick, WorkerJob, WorkerResponse
from hwsearch.devices.fleet.responses import validate_response


class Executor(Protocol):
    """Does one job of a device: in this process, in a fresh one, or on another host."""

    def run(self, job: WorkerJob, files: Files, deadline_s: float, tick: Tick | None = None) -> WorkerResponse:
        """Do a job and return its valid response.

        Parameters
        ----------
        job : WorkerJob
            What to do.
        files : mapping of str to bytes
            The files that its workloads name.
        deadline_s : float
            The longest it may take, seconds.
        tick : callable, optional
            Told the share of the work that is done, 0 to 1.

        Returns
        -------
        WorkerResponse
            Checked by `validate_response`.

        Raises
        ------
        WorkerError
            If the measuring process failed or took too long.
        HwsearchError
            Another typed error, such as `DeviceError`, if the device did.
        """
        ...


def module_of(job: WorkerJob) -> str:
    """Name the program that can do a job.

    Parameters
    ----------
    job : WorkerJob
        What to do.

    Returns
    -------
    str
        A module for ``python -m``. Torch subnets are built from the catalogue, whose program takes longer to start.
    """
    return "hwsearch.devices.fleet.torch_worker" if job["form"] == "torch" else MODULE


class IsolatedExecutor(Executor):
    """Executor that runs each job in a fresh process: a crash or hang ends that process and nothing else."""

    @override
    def run(self, job: WorkerJob, files: Files, deadline_s: float, tick: Tick | None = None) -> WorkerResponse:
        return run_job(job, files, deadline_s, module=module_of(job), tick=tick)


class InProcessExecutor(Executor):
    """Executor that runs jobs in this process: no start-up time, no deadline, and no protection from crashes."""

    @override
    def run(self, job: WorkerJob, files: Files, deadline_s: float, tick: Tick | None = None) -> WorkerResponse:
        build: worker.Builder | None = None
        if job["form"] == "torch":
            from hwsearch.devices.fleet import torch_worker  # torch and the catalogue take seconds to import

            build = torch_worker.build
        return validate_response(job, worker.perform_job(job, files, tick, build))

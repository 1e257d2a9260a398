"""Devices of other hosts, through Dask workers that offer them as resources; the extra ``cluster``."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import ClassVar

from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch.devices.device import Device
from hwsearch.devices.fleet.certificates import security
from hwsearch.devices.fleet.executors import Executor
from hwsearch.devices.fleet.jobs import Files, Tick, WorkerJob, WorkerResponse, device_job
from hwsearch.devices.fleet.responses import WorkerError, parse_response
from hwsearch.devices.fleet.serving import run_serialised_job
from hwsearch.devices.runtimes.base import Form, Runtime, Session, Workload
from hwsearch.devices.runtimes.catalogue import runtime_class
from hwsearch.errors import DeviceError

try:
    import distributed
except ImportError as missing:
    raise DeviceError("devices of other hosts need Dask.", hint="pip install 'hwsearch[cluster]'") from missing


#: how long to wait for a scheduler, and for a worker that offers a device
PATIENCE_S = 20.0


# ---------------------------------------------------------------------- on this host
class Cluster:
    """A campaign's connection to the workers of other hosts.

    Parameters
    ----------
    scheduler : str
        Address of the Dask scheduler, ``tls://HOST:PORT``.
    certificates : str or None
        Folder that `make_certificates` wrote.
    insecure : bool
        Allow ``tcp://`` on this host alone.

    Raises
    ------
    DeviceError
        If the scheduler cannot be reached, or the address is not encrypted.
    """

    def __init__(self, scheduler: str, certificates: str | None, *, insecure: bool = False) -> None:
        self.address = scheduler
        self.stopped = threading.Event()
        settings = security(scheduler, certificates, insecure=insecure)
        try:
            self._client = distributed.Client(scheduler, security=settings, timeout=PATIENCE_S, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise DeviceError(
                f"the scheduler {scheduler!r} cannot be reached: {error}.",
                hint="Start it with 'hwsearch cluster scheduler', and check the certificates.",
            ) from error

    def executor(self, device: str) -> Executor:
        """Make the executor of a device.

        Parameters
        ----------
        device : str
            Its name, as workers offer it.

        Returns
        -------
        Executor
            Whose jobs go to a worker that offers the device.
        """
        return RemoteExecutor(self, device)

    def runtime(self, device: Device) -> RemoteRuntime:
        """Make the stand-in for the runtime of a device.

        Parameters
        ----------
        device : Device
            Of another host.

        Returns
        -------
        RemoteRuntime
            Its facts come from there.
        """
        return RemoteRuntime(self, device)

    def offered(self) -> set[str]:
        """List the devices that the workers of this moment offer.

        Returns
        -------
        set of str
            Their names.
        """
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return {r.partition(":")[2] for w in workers for r in w.get("resources", {}) if r.startswith("device:")}

    def call(self, device: str, job: WorkerJob, files: Files, deadline_s: float) -> WorkerResponse:
        """Have a worker that offers the device do a job.

        Parameters
        ----------
        device : str
            Its name.
        job : WorkerJob
            What to do.
        files : mapping of str to bytes
            The files that its workloads name.
        deadline_s : float
            The longest it may take, seconds.

        Returns
        -------
        WorkerResponse
            Checked by `parse_response`.

        Raises
        ------
        DeviceError
            If no worker offers the device.
        WorkerError
            If the worker was lost, took too long, or the campaign was stopped.
        """
        self._await(device)
        # a dead worker's task would be given to the next one: the queue counts attempts, so Dask must not
        future = self._client.submit(
            run_serialised_job,
            json.dumps(job),
            dict(files),
            deadline_s,
            resources={f"device:{device}": 1},
            retries=0,
            pure=False,
        )
        give_up = time.monotonic() + deadline_s + PATIENCE_S
        try:
            while not future.done():
                if self.stopped.wait(0.05):
                    raise WorkerError("the campaign was stopped.")
                if time.monotonic() > give_up:
                    raise WorkerError(
                        f"no answer from the worker that offers {device!r} within {deadline_s + PATIENCE_S:g} s.",
                        hint="See whether that host still runs.",
                    )
            error = future.exception() if future.status == "error" else None
            if error is not None or future.cancelled():
                raise WorkerError(f"the worker that offers {device!r} was lost: {error or 'cancelled'}.")
            text = future.result(timeout=PATIENCE_S)
        finally:
            with contextlib.suppress(Exception):  # the connection may be gone; the job is over either way
                future.cancel()
        return parse_response(job, text if isinstance(text, str) else "null")

    def _await(self, device: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while device not in (offered := self.offered()):
            if time.monotonic() > until or self.stopped.is_set():
                raise DeviceError(
                    f"no worker at {self.address!r} offers device {device!r}; offered: {', '.join(sorted(offered)) or 'none'}.",
                    hint=f"On its host: hwsearch cluster worker {self.address} --device {device}",
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """Let all waiting calls end."""
        self.stopped.set()

    def close(self) -> None:
        """Let all waiting calls end, and close the connection."""
        self.stop()
        self._client.close()


class RemoteExecutor(Executor):
    """Executor that does a device's jobs on a worker that offers it.

    Parameters
    ----------
    cluster : Cluster
        The connection.
    device : str
        Name of the device.
    """

    def __init__(self, cluster: Cluster, device: str) -> None:
        self.cluster, self.device = cluster, device

    @override
    def run(
        self,
        job: WorkerJob,
        files: Files,
        deadline_s: float,
        tick: Tick | None = None,
    ) -> WorkerResponse:
        return self.cluster.call(self.device, job, files, deadline_s)


class RemoteRuntime(Runtime):
    """Stand-in for the runtime of a device of another host: its facts come from there, all else is a job.

    Parameters
    ----------
    cluster : Cluster
        The connection.
    device : Device
        Of another host.
    """

    form: ClassVar[Form]

    def __init__(self, cluster: Cluster, device: Device) -> None:
        self.cluster, self.device = cluster, device
        self.form = runtime_class(device).form  # type: ignore[misc]

    @override
    def facts(self) -> JsonObject:
        job = device_job("facts", "onnx", self.device)
        return dict(self.cluster.call(self.device.name, job, {}, 120.0)["facts"])

    @override
    def load(self, workload: Workload) -> Session:
        raise DeviceError(f"device {self.device.name!r} is another host's.", hint="Its work goes through jobs.")

    @override
    def verify(self, workload: Workload) -> dict[str, int]:
        raise DeviceError(f"device {self.device.name!r} is another host's.", hint="Its check goes through a job.")

"""Devices of other hosts, through Dask workers that offer them as resources; the extra ``cluster``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hwsearch.devices import Device, Session, Workload
from hwsearch.devices.fleet import worker
from hwsearch.devices.fleet.certificates import make_certificates, security
from hwsearch.devices.fleet.executors import module_of
from hwsearch.devices.runtimes.base import Form
from hwsearch.devices.runtimes.catalogue import runtime_class
from hwsearch.errors import DeviceError, HwsearchError

try:
    import dask
    import distributed
except ImportError as missing:
    raise DeviceError("devices of other hosts need Dask.", hint="pip install 'hwsearch[cluster]'") from missing

#: how long to wait for a scheduler, and for a worker that offers a device
PATIENCE_S = 20.0


# ---------------------------------------------------------------------- on the other hosts
def run_job(job: str, files: Mapping[str, bytes], deadline_s: float) -> str:
    """A worker's part: JSON in, JSON out; a typed error is an answer."""
    spec = json.loads(job)
    try:
        answer = worker.run_job(spec, files, deadline_s, module=module_of(spec))
    except HwsearchError as error:
        answer = error.to_dict()
    return json.dumps(answer)


def serve_scheduler(address: str, certificates: Path | None, *, insecure: bool = False) -> None:
    """Be the scheduler at ``tls://HOST:PORT`` until interrupted."""
    kind, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    if not host or not port.isdigit():
        raise DeviceError(f"{address!r} is no address for a scheduler.", hint="Write tls://HOST:8786.")
    settings = security(address, certificates, insecure=insecure)

    # a task whose worker died is an error at once: the queue decides whether it is tried again
    dask.config.set({"distributed.scheduler.allowed-failures": 0})

    async def serve() -> None:
        protocol = f"{kind}://"
        async with distributed.Scheduler(
            host=host, port=int(port), protocol=protocol, security=settings, dashboard=False
        ) as scheduler:
            await scheduler.finished()

    _serve(serve, address)


def serve_worker(address: str, devices: Sequence[str], certificates: Path | None, *, insecure: bool = False) -> None:
    """Offer devices of this host to the scheduler at `address` until interrupted; one job at a time."""
    if not devices:
        raise DeviceError("a worker offers at least one device.", hint="Give --device NAME.")
    settings = security(address, certificates, insecure=insecure)

    async def serve() -> None:
        async with distributed.Worker(
            address, nthreads=1, resources=resources(devices), security=settings, dashboard=False
        ) as served:
            await served.finished()

    _serve(serve, address)


def cluster(
    action: str,
    place: str,
    *,
    devices: Sequence[str] = (),
    hosts: Sequence[str] = ("localhost", "127.0.0.1"),
    certificates: Path | None = None,
    insecure: bool = False,
) -> list[Path]:
    """``certs``: make certificates in the folder `place`; ``scheduler`` or ``worker``: serve at that address."""
    if action == "certs":
        return make_certificates(Path(place), hosts)
    if action == "scheduler":
        serve_scheduler(place, certificates, insecure=insecure)
    elif action == "worker":
        serve_worker(place, devices, certificates, insecure=insecure)
    else:
        raise DeviceError(f"cluster cannot {action!r}.", hint="Use certs, scheduler or worker.")
    return []


def resources(devices: Sequence[str]) -> dict[str, float]:
    """What a worker that has these devices offers."""
    return {f"device:{name}": 1.0 for name in devices}


def _serve(serve: Callable[[], Any], address: str) -> None:
    try:
        asyncio.run(serve())
    except OSError as error:
        raise DeviceError(
            f"{address!r} cannot be reached or opened: {error}.", hint="Check host, port, certificates."
        ) from error


# ---------------------------------------------------------------------- on this host
class Cluster:
    """A campaign's connection to the workers of other hosts."""

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

    def executor(self, device: str) -> RemoteExecutor:
        return RemoteExecutor(self, device)

    def runtime(self, device: Device) -> RemoteRuntime:
        return RemoteRuntime(self, device)

    def offered(self) -> set[str]:
        """Names of the devices that the workers of this moment offer."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return {r.partition(":")[2] for w in workers for r in w.get("resources", {}) if r.startswith("device:")}

    def call(
        self, device: str, job: Mapping[str, Any], files: Mapping[str, bytes], deadline_s: float
    ) -> dict[str, Any]:
        """The checked answer of a worker that offers the device; see `RemoteExecutor.run`."""
        self._await(device)
        # a dead worker's task would be given to the next one: the queue counts attempts, so Dask must not
        future = self._client.submit(
            run_job, json.dumps(job), dict(files), deadline_s, resources={f"device:{device}": 1}, retries=0, pure=False
        )
        give_up = time.monotonic() + deadline_s + PATIENCE_S
        try:
            while not future.done():
                if self.stopped.wait(0.05):
                    raise worker.WorkerError("the campaign was stopped.")
                if time.monotonic() > give_up:
                    raise worker.WorkerError(
                        f"no answer from the worker that offers {device!r} within {deadline_s + PATIENCE_S:g} s.",
                        hint="See whether that host still runs.",
                    )
            error = future.exception() if future.status == "error" else None
            if error is not None or future.cancelled():
                raise worker.WorkerError(f"the worker that offers {device!r} was lost: {error or 'cancelled'}.")
            text = future.result(timeout=PATIENCE_S)
        finally:
            with contextlib.suppress(Exception):  # the connection may be gone; the job is over either way
                future.cancel()
        try:
            answer = json.loads(text) if isinstance(text, str) else None
        except ValueError:
            answer = None
        return worker.check_answer(job, answer)

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
        self.stop()
        self._client.close()


class RemoteExecutor:
    """Does a device's jobs on a worker that offers it."""

    def __init__(self, cluster: Cluster, device: str) -> None:
        self.cluster, self.device = cluster, device

    def run(
        self,
        job: Mapping[str, Any],
        files: Mapping[str, bytes],
        deadline_s: float,
        tick: Callable[[float], None] | None = None,
    ) -> dict[str, Any]:
        """Raises `WorkerError` when worker or process failed, `DeviceError` when nobody offers the device."""
        return self.cluster.call(self.device, job, files, deadline_s)


class RemoteRuntime:
    """Stands in for the runtime of a device of another host: its facts come from there, all else is a job."""

    form: ClassVar[Form]

    def __init__(self, cluster: Cluster, device: Device) -> None:
        self.cluster, self.device = cluster, device
        self.form = runtime_class(device).form  # type: ignore[misc]

    def facts(self) -> dict[str, Any]:
        device = {**self.device.settings, "name": self.device.name}
        job = {"do": "facts", "form": "onnx", "device": device}
        return dict(self.cluster.call(self.device.name, job, {}, 120.0)["facts"])

    def load(self, workload: Workload) -> Session:
        raise DeviceError(f"device {self.device.name!r} is another host's.", hint="Its work goes through jobs.")

    def verify(self, workload: Workload) -> dict[str, int]:
        raise DeviceError(f"device {self.device.name!r} is another host's.", hint="Its check goes through a job.")

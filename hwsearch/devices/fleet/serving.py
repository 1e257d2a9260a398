"""Offer the devices of this host to campaigns on others, and its cores to trainings, by a Dask scheduler and workers; the extra ``cluster``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from hwsearch.devices.fleet import isolation
from hwsearch.devices.fleet.certificates import make_certificates, security
from hwsearch.devices.fleet.executors import module_of
from hwsearch.devices.fleet.jobs import Files, WorkerJob
from hwsearch.devices.fleet.training_jobs import RESOURCE
from hwsearch.errors import DeviceError, HwsearchError

try:
    import dask
    import distributed
except ImportError as missing:
    raise DeviceError("devices of other hosts need Dask.", hint="pip install 'hwsearch[cluster]'") from missing

Server = TypeVar("Server")


def run_serialised_job(job: str, files: Files, deadline_s: float) -> str:
    """Do a job on the host of a Dask worker, in a fresh process.

    Parameters
    ----------
    job : str
        A `WorkerJob` as JSON.
    files : mapping of str to bytes
        The files that its workloads name.
    deadline_s : float
        The longest it may take, seconds.

    Returns
    -------
    str
        The response as JSON; a typed error is a response as well.
    """
    spec: WorkerJob = json.loads(job)
    try:
        answer: object = isolation.run_job(spec, files, deadline_s, module=module_of(spec))
    except HwsearchError as error:
        answer = error.to_dict()
    return json.dumps(answer)


def serve_scheduler(address: str, certificates: Path | None, *, insecure: bool = False) -> None:
    """Be the scheduler until interrupted.

    Parameters
    ----------
    address : str
        ``tls://HOST:PORT``.
    certificates : Path or None
        Folder that `make_certificates` wrote.
    insecure : bool
        Allow ``tcp://`` on this host alone.

    Raises
    ------
    DeviceError
        For an address that is malformed, not encrypted, or cannot be opened.
    """
    kind, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    if not host or not port.isdigit():
        raise DeviceError(f"{address!r} is not an address for a scheduler.", hint="Write tls://HOST:8786.")
    settings = security(address, certificates, insecure=insecure)

    # a task whose worker died is an error at once: the queue decides whether it is tried again
    dask.config.set({"distributed.scheduler.allowed-failures": 0})

    async def serve() -> None:
        protocol = f"{kind}://"
        async with _without_pages(distributed.Scheduler)(
            host=host, port=int(port), protocol=protocol, security=settings, dashboard=False
        ) as scheduler:
            await scheduler.finished()

    _serve(serve, address)


def serve_worker(
    address: str,
    devices: Sequence[str],
    certificates: Path | None,
    *,
    training: bool = False,
    insecure: bool = False,
) -> None:
    """Offer devices of this host, or its cores for training, to a scheduler until interrupted; one job at a time.

    Parameters
    ----------
    address : str
        The scheduler's.
    devices : sequence of str
        Names under which campaigns know these devices.
    certificates : Path or None
        Folder that `make_certificates` wrote.
    training : bool
        Offer to train modules of supernets.
    insecure : bool
        Allow ``tcp://`` on this host alone.

    Raises
    ------
    DeviceError
        If nothing is offered, or the address is not encrypted or cannot be reached.
    """
    if not devices and not training:
        raise DeviceError("a worker offers at least one device, or training.", hint="Give --device NAME or --training.")
    settings = security(address, certificates, insecure=insecure)
    host = address.partition("://")[2].rpartition(":")[0]
    # without certificates it is for this host alone, so it must not be reached from another
    own = host.strip("[]").replace("localhost", "127.0.0.1") if address.startswith("tcp://") else None

    async def serve() -> None:
        async with _without_pages(distributed.Worker)(
            address, nthreads=1, resources=resources(devices, training), security=settings, dashboard=False, host=own
        ) as served:
            await served.finished()

    _serve(serve, address)


def cluster(
    action: Literal["certs", "scheduler", "worker"] | str,
    place: str,
    *,
    devices: Sequence[str] = (),
    training: bool = False,
    hosts: Sequence[str] = ("localhost", "127.0.0.1"),
    certificates: Path | None = None,
    insecure: bool = False,
) -> list[Path]:
    """Make certificates, or serve as scheduler or worker; the verb ``hwsearch cluster``.

    Parameters
    ----------
    action : {"certs", "scheduler", "worker"}
        What to do.
    place : str
        A folder for ``certs``, else an address ``tls://HOST:PORT``.
    devices : sequence of str
        Devices that a worker offers.
    training : bool
        Whether a worker offers to train modules of supernets.
    hosts : sequence of str
        Names and addresses that certificates are for.
    certificates : Path, optional
        Folder of certificates, for ``scheduler`` and ``worker``.
    insecure : bool
        Allow ``tcp://`` on this host alone.

    Returns
    -------
    list of Path
        The files that ``certs`` wrote; empty otherwise.

    Raises
    ------
    DeviceError
        For an unknown action, and for what the action refuses.
    """
    if action == "certs":
        return make_certificates(Path(place), hosts)
    if action == "scheduler":
        serve_scheduler(place, certificates, insecure=insecure)
    elif action == "worker":
        serve_worker(place, devices, certificates, training=training, insecure=insecure)
    else:
        raise DeviceError(f"unknown action {action!r} for a cluster.", hint="Use certs, scheduler or worker.")
    return []


def resources(devices: Sequence[str], training: bool = False) -> dict[str, float]:
    """Write what a Dask worker offers as its resources.

    Parameters
    ----------
    devices : sequence of str
        Names of its devices.
    training : bool
        Whether it trains.

    Returns
    -------
    dict of str to float
        One unit of each.

    Examples
    --------
    >>> resources(["phone"], training=True)
    {'device:phone': 1.0, 'training': 1.0}
    """
    return {f"device:{name}": 1.0 for name in devices} | ({RESOURCE: 1.0} if training else {})


def _without_pages(server: type[Server]) -> type[Server]:
    """Make a scheduler or worker that opens no HTTP port: Dask's pages of health and metrics ask for no certificate."""

    def start_http_server(self: Any, *args: Any, **kwargs: Any) -> None:
        """Open nothing."""

    return type(server.__name__, (server,), {"start_http_server": start_http_server})


def _serve(serve: Callable[[], Coroutine[None, None, None]], address: str) -> None:
    try:
        asyncio.run(serve())
    except OSError as error:
        raise DeviceError(
            f"{address!r} cannot be reached or opened: {error}.", hint="Check host, port, certificates."
        ) from error

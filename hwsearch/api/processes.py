"""Start the other processes of a training on this host, and end them with it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch
import torch.distributed as dist

from hwsearch.devices.helper import Helper
from hwsearch.devices.threads import compute_threads
from hwsearch.errors import TrainingError
from hwsearch.training.compute_device import compute_device
from hwsearch.training.ranks import (
    ALONE,
    RankError,
    RankLost,
    Ranks,
    joined,
    local_place,
    local_processes,
    torchrun_place,
)

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

#: the program of ranks 1 and up
MODULE = "hwsearch.api.training_rank"
#: seconds in which a process must have started, and in which it must end after the training or an error
START_S, END_S, ERROR_S = 300.0, 60.0, 5.0
#: names the network interface of gloo
INTERFACE = "GLOO_SOCKET_IFNAME"


@contextmanager
def training_ranks(processes: int, given: Mapping[str, object]) -> Iterator[Ranks]:
    """Become one of several processes that train together, if that is asked for.

    Parameters
    ----------
    processes : int
        How many processes of this host; this one is rank 0 and starts the others. 1 under ``torchrun``, whose place counts.
    given : mapping of str to object
        The arguments of `hwsearch.api.training.train_rank` for the other processes.

    Yields
    ------
    Ranks
        This process among them.

    Raises
    ------
    TrainingError
        If the number is not valid, contradicts ``torchrun``, or there is no such device for each.
    RankError
        If a process cannot be started, or ended before the others.
    """
    place = torchrun_place()
    if not isinstance(processes, int) or isinstance(processes, bool) or not 1 <= processes <= 1024:
        raise TrainingError(f"processes={processes!r} is not valid: give a whole number from 1 to 1024.")
    if place is not None and processes not in (1, place[1]):
        raise TrainingError(
            f"processes={processes} contradicts the WORLD_SIZE={place[1]} of torchrun.", hint="Leave processes out."
        )
    device = str(given.get("device", "auto"))
    if place is not None:
        local, number = local_processes(), local_place()
        with joined(*place, local=local, local_rank=number, device=compute_device(device, number, local)) as ranks:
            yield ranks
    elif processes == 1:
        yield ALONE
    else:
        with _started(processes, given, compute_device(device, 0, processes)) as ranks:
            yield ranks


@contextmanager
def _started(world: int, given: Mapping[str, object], device: torch.device) -> Iterator[Ranks]:
    """Start ranks 1 and up, and join them as rank 0."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hwsearch-ranks-")))
        environment = os.environ | {"OMP_NUM_THREADS": str(compute_threads(world))}
        if interface := loopback_interface():
            environment.setdefault(INTERFACE, interface)
        others: list[Helper] = []
        ended = False
        try:
            for rank in range(1, world):
                task = {"rank": rank, "world": world, "store": str(folder / "store"), "given": dict(given)}
                others.append(Helper(f"rank {rank}", MODULE, task, folder / f"rank-{rank}.txt", environment))
            store = dist.FileStore(str(folder / "store"), world)  # type: ignore[attr-defined]
            _wait_for(store, others)
            with _set(INTERFACE, environment.get(INTERFACE)):
                ranks = stack.enter_context(joined(0, world, store, local=world, device=device))
            try:
                yield ranks
            except RankLost as error:
                raise _explained(error, others) from error
            ended = True
        finally:
            for other in others:
                other.end(END_S if ended else 0.0)


def _wait_for(store: Store, others: list[Helper]) -> None:
    """Wait until all processes have started, or one has ended."""
    until = time.monotonic() + START_S
    while not store.check([f"started-{rank}" for rank in range(1, len(others) + 1)]):
        if fates := [fate for other in others if (fate := other.fate())]:
            raise RankError(f"before the training began {fates[0]}.")
        if time.monotonic() > until:
            raise RankError(f"the other processes did not start within {START_S:g} s.")
        time.sleep(0.02)


def _explained(error: RankLost, others: list[Helper]) -> RankLost:
    """Say which process ended and why, where that can be told."""
    until = time.monotonic() + ERROR_S
    while time.monotonic() < until:
        if fates := [fate for other in others if (fate := other.fate())]:
            return RankLost(f"{error.message.rstrip('.')}. Of its processes {fates[0]}.", hint=error.hint)
        time.sleep(0.05)
    return error


def loopback_interface() -> str | None:
    """Name the network interface that reaches this host only.

    Returns
    -------
    str or None
        Such as ``lo``; None where there is none.
    """
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == "127.0.0.1" for address in addresses):
            return str(name)
    return None


@contextmanager
def _set(name: str, value: str | None) -> Iterator[None]:
    """Set an environment variable within a block."""
    before = os.environ.get(name)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before

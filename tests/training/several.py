"""Several processes of one training, forked from this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from hwsearch.api.processes import INTERFACE, loopback_interface
from hwsearch.training.ranks import Ranks, joined

#: seconds until a rank that hangs fails its test
TIMEOUT_S = 60


def together(world: int, work: Callable[[Ranks], Any], folder: Path, silent_s: float = TIMEOUT_S / 2) -> list[Any]:
    """What `work` returned in each process, or the exception it raised, as text; None where the process was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "store").unlink(missing_ok=True)
    fork = multiprocessing.get_context("fork")

    def child(rank: int) -> None:
        torch.set_num_threads(1)
        os.environ[INTERFACE] = loopback_interface() or "lo"
        os.environ["HWSEARCH_RANK_TIMEOUT"] = str(silent_s)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        assert threading.current_thread() is threading.main_thread()
        try:
            with joined(rank, world, dist.FileStore(str(folder / "store"), world)) as ranks:
                found = work(ranks)
        except BaseException as error:
            found = f"{type(error).__name__}: {error}"
        torch.save(found, folder / f"{rank}.found")

    for old in folder.glob("*.found"):
        old.unlink()
    processes = [fork.Process(target=child, args=(rank,)) for rank in range(world)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT_S)
        process.kill()
        process.join()
    places = [folder / f"{rank}.found" for rank in range(world)]
    return [torch.load(place, weights_only=True) if place.exists() else None for place in places]

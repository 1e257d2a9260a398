"""The program of one process of a calibration: it times exchanges with the others."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import torch
import torch.distributed as dist

from hwsearch.training.allocator import keep_freed_memory
from hwsearch.training.ranks import Ranks, joined


def _end_with_starter() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock would be held when the interpreter ends
        pass
    os._exit(1)


def times(ranks: Ranks, sizes: list[int], repeats: int) -> list[list[float]]:
    """Time exchanges; all processes call this.

    Parameters
    ----------
    ranks : Ranks
        This process among the others.
    sizes : list of int
        Bytes of each sum.
    repeats : int
        Rounds over all sizes, after one that is not timed.

    Returns
    -------
    list of list of float
        Seconds, a row a round: the slowest process counts.
    """
    rows = [torch.ones(1, size // 4) for size in sizes]
    found = []
    for repeat in range(repeats + 1):
        row = []
        for one in rows:
            ranks.gather(torch.zeros(1), repeat)  # all begin together
            started = time.perf_counter()
            ranks.sum_in_order(one, repeat)
            row.append(time.perf_counter() - started)
        slowest = ranks.gather(torch.tensor(row, dtype=torch.float64), repeat).max(dim=0).values
        found.append(slowest.tolist())
    return found[1:]


def main() -> int:
    """Time exchanges as one process; the first writes what was found.

    Returns
    -------
    int
        Exit code.
    """
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_starter, daemon=True).start()
    torch.set_num_threads(1)
    keep_freed_memory()  # as a training does
    world, place = task["world"], Path(task["folder"])
    store = dist.FileStore(str(place / "store"), world)  # type: ignore[attr-defined]
    with joined(task["rank"], world, store, local=world) as ranks:
        found = times(ranks, task["sizes"], task["repeats"])
    if ranks.writes:
        (place / "found.json").write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

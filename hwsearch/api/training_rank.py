"""The program of a training's ranks 1 and up: it gets its task on standard input, and trains with the others."""

from __future__ import annotations

import json
import os
import sys
import threading

import torch.distributed as dist

from hwsearch.api.training import train_rank
from hwsearch.errors import HwsearchError
from hwsearch.training.compute_device import compute_device
from hwsearch.training.ranks import joined


def end_with_starter() -> None:
    """End when standard input does: whoever started this process holds it open for as long as it lives."""
    while os.read(0, 4096):  # not sys.stdin, whose lock would be held when the interpreter ends
        pass
    os._exit(1)


def main() -> int:
    """Train as one rank.

    Returns
    -------
    int
        Exit code: 0, 1 after a typed error, which is the last line of standard error, or 130 after Ctrl-C.
    """
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=end_with_starter, daemon=True).start()
    store = dist.FileStore(task["store"], task["world"])  # type: ignore[attr-defined]
    store.set(f"started-{task['rank']}", "1")
    try:
        rank, world = task["rank"], task["world"]
        device = compute_device(task["given"]["device"], rank, world)
        with joined(rank, world, store, local=world, local_rank=rank, device=device) as ranks:
            train_rank(ranks, **task["given"])
    except HwsearchError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

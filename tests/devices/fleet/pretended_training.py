"""A program in the place of the one that trains a module: it does what the folder of its data tells, and needs no torch.

The file ``N.txt`` there has a line an attempt of module N: ``finish``, ``die``, ``refuse``, ``fail``, or ``hold`` (until Ctrl-C).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    """Pretend to train.

    Returns
    -------
    int
        Exit code as of `hwsearch.api.training_module`.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    task = json.loads(sys.stdin.buffer.readline())
    given, data = task["given"], Path(task["given"]["data"])
    module = given["module"]
    folder = Path(given["folder"]) / "stage-1" / f"module-{module}"
    folder.mkdir(parents=True, exist_ok=True)
    script = data / f"{module}.txt"
    what, *rest = script.read_text().split()
    script.write_text("\n".join(rest))
    came_with = (folder / "training.pt").exists()
    (data / "log.txt").open("a").write(
        json.dumps(
            {
                "module": module,
                "what": what,
                "checkpoint": came_with,
                "threads": os.environ["OMP_NUM_THREADS"],
                "recipe": Path(given["recipe"]).read_text() if given["recipe"].endswith(".toml") else given["recipe"],
                "meta": (folder.parent / "meta" / "module.safetensors").read_bytes().decode(),
                "identity": task["identity"],
            }
        )
        + "\n"
    )
    state = {"step": 5, "steps": 10, "examples_per_s": 2.0, "examples": "images", "kernels": "eager", "device": "cpu"}
    state |= {"losses": {"largest": 0.5}, "history": [{"epoch": 1, "seconds": 0.1}]}
    if what in ("hold", "die", "fail") and (data / "checkpoint.pt").exists():
        shutil.copy(data / "checkpoint.pt", folder / "training.partial")
        (folder / "training.partial").replace(folder / "training.pt")
    if what == "finish":
        state |= {"step": 10}
        (folder / "metrics.csv").write_text("step\n10\n")
        (folder / "module.safetensors").write_text(f"module {module}, {'resumed' if came_with else 'from the start'}")
    partial = Path(task["status"]).with_suffix(".partial")
    partial.write_text(json.dumps(state))
    partial.replace(task["status"])
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what in ("refuse", "fail"):
        why = f"{given['folder']} has the value 7. Change it."
        Path(task["outcome"]).write_text(json.dumps({"end": {"fail": "failed", "refuse": "refused"}[what], "why": why}))
        return 1
    if what == "hold":
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

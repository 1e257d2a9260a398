"""The default tactic's own processor time on a busy host: `own_cpu_busy` of the search benchmark.

    python -m benchmarks.search --busy …

One search of 150 evaluations on ``ofa/v100-b64`` in a fresh process without any environment variable about threads, while other
processes keep all cores busy. Threads of linear algebra that wait for each other would show here as several times the time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

#: what keeps a core busy
LOOP = "while True: pass"
#: environment variables that set numbers of threads
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
#: the search
TASK, EVALUATIONS, SEED = "ofa/v100-b64", 150, 0


def own_cpu_busy(busy: int = 8, evaluations: int = EVALUATIONS) -> float:
    """Measure the processor time (s) that a search's asks and tells take beside busy processes."""
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    others = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(busy)]
    try:
        code = (
            "import json; from benchmarks.search_runs import Cell, run; "
            f"print(json.dumps(run(Cell({TASK!r}, 'default', {SEED}, {evaluations}))['cpu_seconds']))"
        )
        found = subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
        )
    finally:
        for other in others:
            other.kill()
            other.wait()
    return float(json.loads(found.stdout.splitlines()[-1]))

"""A program for runtime ``command``: ONNX Runtime on the CPU, in a process of its own.

    [[device]]
    name = "other-process"
    runtime = "command"
    options.command = "python examples/command_onnxruntime.py {model} --runs {runs} --inputs {inputs} --threads {threads}"
    options.facts_command = "python examples/command_onnxruntime.py --facts"

Copy it as a start for a board of your own: all that matters is the last line it prints.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import time

import numpy as np
import onnxruntime as ort

WARM_UPS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--inputs", help="JSON file: name, shape, dtype, low and high of each input")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--facts", action="store_true", help="say what this device is, and measure nothing")
    args = parser.parse_args()
    facts = {"onnxruntime": ort.__version__, "machine": platform.machine(), "system": platform.platform()}
    if args.facts:
        print(json.dumps(facts))
        return 0
    if not args.model or not args.inputs:
        parser.error("a model and its --inputs are needed")

    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    before = resident_mib()
    try:
        session = ort.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own, unexported kinds
        print(f"onnxruntime refuses the model: {error}", file=sys.stderr)
        return 2
    with open(args.inputs, encoding="utf-8") as file:  # noqa: PTH123
        feed = {i["name"]: sample(i) for i in json.load(file)}

    answer = {"provider": session.get_providers()[0], "facts": facts}
    for _ in range(WARM_UPS):
        outputs = session.run(None, feed)
    for output, value in zip(session.get_outputs(), outputs, strict=True):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            print(json.dumps(answer | {"failure": f"output {output.name!r} holds values that are not finite."}))
            return 0

    times = []
    for _ in range(args.runs):
        started = time.perf_counter_ns()
        session.run(None, feed)
        times.append((time.perf_counter_ns() - started) / 1e6)
    print(json.dumps(answer | {"latency_ms": times, "peak_memory_mib": max(0.0, resident_mib() - before)}))
    return 0


def sample(described: dict) -> np.ndarray:
    rng = np.random.default_rng(0)
    if described["dtype"] == "int64":
        return rng.integers(described["low"], described["high"], size=described["shape"], dtype=np.int64)
    return rng.standard_normal(described["shape"]).astype(np.float32)


def resident_mib() -> float:
    """Return the largest resident memory of this process so far."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    sys.exit(main())

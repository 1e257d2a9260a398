"""A program for runtime ``command``: an Android phone over adb, measured by ``onnxruntime_perf_test`` on the phone.

    [[device]]
    name = "phone"
    runtime = "command"
    provider = "xnnpack"
    threads = 4
    options.command = "python examples/command_adb.py {model} --runs {runs} --inputs {inputs} --threads {threads} --provider {provider}"
    options.facts_command = "python examples/command_adb.py --facts"
    options.timeout_s = 120

Once, by hand: build onnxruntime for Android (``--android --android_abi arm64-v8a --build_shared_lib``), then
``adb push onnxruntime_perf_test libonnxruntime.so /data/local/tmp/hwsearch/`` and ``adb shell chmod +x`` the program.
perf_test tells no outputs: NaN in them is not seen here. Let the phone cool between campaigns, and plug it in.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from onnx import numpy_helper

FOLDER = "/data/local/tmp/hwsearch"
PROPERTIES = ("ro.product.model", "ro.soc.model", "ro.board.platform", "ro.build.version.release", "ro.build.id")
PROGRAM = "onnxruntime_perf_test"


class Phone:
    def __init__(self, serial: str | None) -> None:
        self._adb = ["adb", *(["-s", serial] if serial else [])]

    def shell(self, *words: str, folder: str | None = None) -> str:
        """Return what a command on the phone prints; end this program with adb's exit status when it fails."""
        line = shlex.join(words)
        if folder:
            line = f"cd {shlex.quote(folder)} && LD_LIBRARY_PATH=. {line}"
        return self._run("shell", line)

    def push(self, source: Path, target: str) -> None:
        self._run("push", str(source), target)

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._adb, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
            sys.exit(done.returncode)
        return done.stdout


def facts(phone: Phone, folder: str) -> dict[str, str]:
    found = {name: phone.shell("getprop", name).strip() for name in PROPERTIES}
    for file in (PROGRAM, "libonnxruntime.so"):
        found[f"sha256 of {file}"] = phone.shell("sha256sum", f"{folder}/{file}").split()[0][:12]
    return found


def place(phone: Phone, model: Path, inputs: Path, folder: str) -> str:
    """Find the model's folder on the phone, with one set of inputs beside it; push it unless it is there."""
    content, described = model.read_bytes(), json.loads(inputs.read_text())
    digest = hashlib.sha256(content + inputs.read_bytes()).hexdigest()[:16]
    there = f"{folder}/models/{digest}"
    if "complete" in phone.shell("sh", "-c", f"ls {shlex.quote(there)} 2>&1 || true").split():
        return there
    data = f"{there}/test_data_set_0"
    phone.shell("mkdir", "-p", data)
    phone.push(model, f"{there}/model.onnx")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        for number, i in enumerate(described):
            if i["dtype"] == "int64":
                value = rng.integers(i["low"], i["high"], size=i["shape"], dtype=np.int64)
            else:
                value = rng.standard_normal(i["shape"]).astype(np.float32)
            file = Path(scratch) / f"input_{number}.pb"
            file.write_bytes(numpy_helper.from_array(value, i["name"]).SerializeToString())
            phone.push(file, f"{data}/{file.name}")
    phone.shell("touch", f"{there}/complete")
    return there


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--inputs", type=Path)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--provider", default="cpu", help="as perf_test's -e: cpu, xnnpack, nnapi, qnn")
    parser.add_argument("--serial", help="of the phone, where several are attached")
    parser.add_argument("--folder", default=FOLDER, help="on the phone, with perf_test and its library")
    parser.add_argument("--facts", action="store_true", help="say what the phone is, and measure nothing")
    args = parser.parse_args()
    phone = Phone(args.serial)
    if args.facts:
        print(json.dumps(facts(phone, args.folder)))
        return 0
    if not args.model or not args.inputs:
        parser.error("a model and its --inputs are needed")

    provider = args.provider.removesuffix("ExecutionProvider").lower()
    there = place(phone, args.model, args.inputs, args.folder)
    options = [
        "-m",
        "times",
        "-r",
        str(args.runs),
        "-e",
        provider,
        "-x",
        str(args.threads),
        "-y",
        "1",
        "-o",
        "99",
        "-v",
    ]
    if provider != "cpu":  # what the provider cannot run is an error, not a job for the CPU
        options += ["-C", "session.disable_cpu_ep_fallback|1"]
    said = phone.shell(f"./{PROGRAM}", *options, f"{there}/model.onnx", f"{there}/result.csv", folder=args.folder)
    seconds = [float(v) for v in re.findall(r"time_cost:([-+.\deE]+)", said)]
    if not seconds:
        print(said[-2000:], file=sys.stderr)
        return 3
    print(json.dumps({"latency_ms": [1e3 * v for v in seconds], "provider": provider}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

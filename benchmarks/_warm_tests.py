"""Run tests in children of one process that has loaded the large libraries, so that a run begins in a fraction of a second.

    python -m benchmarks._warm_tests SOCKET TEST ...      serves until it is killed
    python -I -S benchmarks/_warm_tests.py --ask SOCKET   runs the tests once; its exit status is pytest's

Nothing of the project is loaded before a child is made: each sees its files as they are. A child ends with the one who asked.
"""

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys

#: what the project's files load, directly or not
LIBRARIES = (
    "pandas",
    "pydantic",
    "scipy.optimize",
    "scipy.stats",
    "scipy.ndimage",
    "sklearn.gaussian_process",
    "sklearn.svm",
    "sklearn.model_selection",
    "xgboost",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "safetensors.torch",
    "filelock",
    "psutil",
    "jinja2",
    "matplotlib.figure",
    "pymoo.core.problem",
    "optuna",
    "hypothesis",
    "tomli_w",
    "torch._dynamo",
    "moocore",
    "platformdirs",
    "PIL.Image",
)

#: of pytest: only its own plugins (the others take a second to load), no rewriting of assertions, and no collecting of garbage at
#: the end, which looks for exceptions that nobody saw; what passes and what fails stays the same
OPTIONS = ("-x", "-q", "--no-header", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:unraisableexception")


def ask(path: str) -> int:
    """Have the tests run once."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        answer = line.recv(16)
    return int(answer) if answer else 70


def serve(path: str, tests: list[str]) -> None:
    """Answer each connection with the exit status of a run."""
    import pytest
    import torch

    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    torch.set_num_threads(1)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    gc.collect()
    gc.freeze()  # a child need not look through the libraries for garbage
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(1)
        while True:
            line, _ = door.accept()
            child = os.fork()
            if child == 0:
                os.setsid()
                door.close()
                null = os.open(os.devnull, os.O_RDWR)
                for stream in (0, 1, 2):
                    os.dup2(null, stream)
                status = 70
                try:
                    status = int(pytest.main([*OPTIONS, *tests]))
                finally:
                    os._exit(status)
            status = _wait(child, line)
            with contextlib.suppress(OSError), line:
                line.sendall(str(status).encode())


def _wait(child: int, line: socket.socket) -> int:
    """Return the child's exit status; kill the child when the one who asked has gone."""
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if select.select([line], [], [], 0.01)[0]:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return 70


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        sys.exit(ask(sys.argv[2]))
    serve(sys.argv[1], sys.argv[2:])

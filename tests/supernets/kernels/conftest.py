"""The kernels of this machine; tests that need some are skipped, with the reason, where there are none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
import torch

from hwsearch.supernets.kernels import choose
from hwsearch.supernets.kernels.native import NativeKernels

if TYPE_CHECKING:
    from hwsearch.supernets.kernels.triton import TritonKernels


@pytest.fixture(scope="session")
def native() -> NativeKernels:
    choice = choose("auto")
    if not isinstance(choice.kernels, NativeKernels):
        pytest.skip(f"kernels: {choice}")
    return choice.kernels


@pytest.fixture(scope="module")
def programs() -> Iterator[TritonKernels]:
    """The kernels on the processor; the interpreter is chosen when a program is first read."""
    if find_spec("triton") is None:
        pytest.skip("the package triton is not installed")
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    try:
        from hwsearch.supernets.kernels.triton import TritonKernels

        found = choose("triton", "cpu").kernels
        assert isinstance(found, TritonKernels)
        yield found
    finally:
        if before is None:
            del os.environ["TRITON_INTERPRET"]
        else:
            os.environ["TRITON_INTERPRET"] = before


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tests may change the number of threads."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)

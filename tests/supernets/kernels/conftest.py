"""The native kernels of this machine; tests that need them are skipped, with the reason, where there are none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from hwsearch.supernets.kernels import choose
from hwsearch.supernets.kernels.native import NativeKernels


@pytest.fixture(scope="session")
def native() -> NativeKernels:
    choice = choose("auto")
    if not isinstance(choice.kernels, NativeKernels):
        pytest.skip(f"kernels: {choice}")
    return choice.kernels


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tests may change the number of threads."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)

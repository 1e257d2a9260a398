"""Ranks: sums whose bits do not depend on how many processes there are, and what a rank that differs or dies leads to."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from hwsearch.errors import TrainingError
from hwsearch.training.ranks import ALONE, Ranks, joined, local_place, local_processes, timeout_s, torchrun_place
from tests.training.several import together

pytestmark = pytest.mark.timeout(120)


def rows() -> torch.Tensor:
    """Numbers of many sizes: another order of the sum has other bits."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 11, generator=generator) * 10.0 ** torch.randint(-4, 5, (6, 11), generator=generator)


def test_a_sum_over_three_processes_has_the_bits_of_one(tmp_path: Path) -> None:
    every = rows()
    expected = every[0].clone()
    for row in every[1:]:
        expected = expected + row
    assert torch.equal(ALONE.sum_in_order(every, 0), expected)
    assert not torch.equal(ALONE.sum_in_order(every.flip(0), 0), expected)
    found = together(3, lambda ranks: ranks.sum_in_order(every[2 * ranks.rank : 2 * ranks.rank + 2], 0), tmp_path)
    assert all(torch.equal(one, expected) for one in found)


def test_what_ranks_do_not_share_is_an_error_with_step_and_rank(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> list[str]:
        row = torch.tensor([ranks.rank, 7.0])
        assert ranks.gather(row, 3).tolist() == [[0.0, 7.0], [1.0, 7.0], [2.0, 7.0]]
        texts = ranks.messages(f"I am {ranks.rank} ü", 3)
        ranks.agree("weights", "0123456789ab", 4)
        with pytest.raises(TrainingError, match="at step 5 rank 1 of 3 has other weights than rank 0"):
            ranks.agree("weights", "0123456789ac" if ranks.rank == 1 else "0123456789ab", 5)
        return texts

    assert together(3, work, tmp_path) == [["I am 0 ü", "I am 1 ü", "I am 2 ü"]] * 3


def test_a_rank_that_dies_ends_the_others(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> str:
        if ranks.rank == 1:
            os._exit(9)
        with pytest.raises(
            TrainingError, match=r"at step 8 another process .*this is rank 0 of 2: .*checkpoint is kept"
        ):
            ranks.gather(torch.zeros(1), 8)
        return "told"

    assert together(2, work, tmp_path) == ["told", None]


def test_a_rank_that_hangs_ends_the_others_after_the_time_they_wait(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> str:
        ranks.gather(torch.zeros(1), 1)
        if ranks.rank == 1:
            time.sleep(4)
            return "woke up"
        with pytest.raises(TrainingError, match=r"at step 2 another process of this training ended or is silent"):
            ranks.gather(torch.zeros(1), 2)
        return "told"

    assert together(2, work, tmp_path, silent_s=1.5) == ["told", "woke up"]


def test_the_place_is_that_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert torchrun_place() is None and local_processes() == 1
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(
        TrainingError, match=r"RANK='2', WORLD_SIZE=None are no place among processes\. Start by torchrun"
    ):
        torchrun_place()
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert torchrun_place() == (2, 4) and local_processes() == 2
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="no place"):
        torchrun_place()


def test_the_gpu_is_that_of_the_place_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 5 of 8 on the second host of four processes each takes its GPU 1."""
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert torchrun_place() == (5, 8) and local_place() == 1
    for wrong in ("4", "-1", "one"):
        monkeypatch.setenv("LOCAL_RANK", wrong)
        with pytest.raises(TrainingError, match=f"LOCAL_RANK='{wrong}' is no place among the 4 processes of this host"):
            local_place()
    monkeypatch.delenv("LOCAL_RANK")
    assert local_place() == 0


def test_gpus_exchange_gradients_by_nccl_and_the_rest_by_gloo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The process group is made for the GPU of this rank, which is the current one before."""
    seen: list[object] = []
    monkeypatch.setattr(torch.cuda, "set_device", seen.append)
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **given: seen.append((backend, given["rank"])))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: seen.append("end"))
    device = torch.device("cuda", 1)
    with joined(3, 4, local=2, local_rank=1, device=device) as ranks:
        assert ranks == Ranks(3, 4, 2, 1)
    with joined(0, 2, local=2):
        pass
    assert seen == [device, ("cpu:gloo,cuda:nccl", 3), "end", ("gloo", 0), "end"]


def test_how_long_a_silent_rank_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HWSEARCH_RANK_TIMEOUT", raising=False)
    assert timeout_s() == 1800
    monkeypatch.setenv("HWSEARCH_RANK_TIMEOUT", "2.5")
    assert timeout_s() == 2.5
    for wrong in ("soon", "0", "nan", "-1"):
        monkeypatch.setenv("HWSEARCH_RANK_TIMEOUT", wrong)
        with pytest.raises(TrainingError, match=f"HWSEARCH_RANK_TIMEOUT='{wrong}' is no number of seconds"):
            timeout_s()


def test_one_process_needs_no_group() -> None:
    with joined(0, 1) as ranks:
        assert ranks == ALONE and not torch.distributed.is_initialized()

"""The processes of one training: what they exchange, and what happens when one disagrees or is silent.

A rank is one process, numbered from 0. All ranks train the same network: each computes the gradients of its ghost batches
(`hwsearch.training.ghosts`), and all take the same update. Rank 0 writes the files.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from hwsearch.errors import TrainingError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

#: environment variable: seconds after which a rank that is silent ends the others
TIMEOUT = "HWSEARCH_RANK_TIMEOUT"
#: its default. A rank that dies is noticed at once; this is for one that hangs, and longer than rank 0 scores after an epoch
TIMEOUT_S = 1800.0
#: hexadecimal digits of a digest that a float64 holds
DIGITS = 12
#: bytes of a message from one rank to the others
MESSAGE_BYTES = 2000


class RankError(TrainingError):
    """A process of a training stopped, is silent, or disagrees with the others."""


class RankLost(RankError):
    """A process of a training is silent: it ended, or hangs."""


@dataclass(frozen=True)
class Ranks:
    """One process among those of a training.

    Attributes
    ----------
    rank : int
        Its number, from 0.
    world : int
        How many there are.
    local : int
        How many of them run on this host, and share its cores out.
    local_rank : int
        Its number among those of this host, which is that of its GPU.
    sent : list of int
        One number: bytes of gradients that this rank has sent to others.

    Examples
    --------
    >>> ALONE.rank, ALONE.world, ALONE.writes
    (0, 1, True)
    >>> ALONE.sum_in_order(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), step=0)
    tensor([4., 6.])
    """

    rank: int = 0
    world: int = 1
    local: int = 1
    local_rank: int = 0
    sent: list[int] = field(default_factory=lambda: [0], compare=False, repr=False)

    @property
    def writes(self) -> bool:
        """Whether this rank writes checkpoints, figures and progress."""
        return self.rank == 0

    def gather(self, row: Tensor, step: int) -> Tensor:
        """Collect one row of numbers from each rank.

        Parameters
        ----------
        row : Tensor
            Shape ``(n,)``, on the CPU; the same n and type on all ranks.
        step : int
            The step, for messages.

        Returns
        -------
        Tensor
            Shape ``(world, n)``, in the order of the ranks.

        Raises
        ------
        RankLost
            If a rank is silent.
        """
        rows = torch.empty(self.world, *row.shape, dtype=row.dtype)
        if self.world == 1:
            rows[0] = row
            return rows
        with self._answers(step):
            dist.all_gather(list(rows.unbind()), row.contiguous())
        return rows

    def sum_in_order(self, rows: Tensor, step: int) -> Tensor:
        """Add rows up over all ranks, in the order of the ranks and within each in the order of its rows.

        An all-reduce whose bits do not depend on the number of ranks: each rank adds one share of the columns, first row
        first (a reduce-scatter), and all collect the shares. With one row a rank it moves as many bytes as a ring.

        Parameters
        ----------
        rows : Tensor
            Shape ``(rows, n)``, the same on all ranks.
        step : int
            The step, for messages.

        Returns
        -------
        Tensor
            The sum, shape ``(n,)``; the same bits as one process gets that holds all rows.

        Raises
        ------
        RankLost
            If a rank is silent.
        """
        count, n = rows.shape
        if self.world == 1:
            return _sum_of_rows(rows)
        share = -(-n // self.world)
        padded = torch.nn.functional.pad(rows, (0, share * self.world - n))
        sent = padded.view(count, self.world, share).transpose(0, 1).contiguous()
        got = torch.empty_like(sent)  # (world, count, share): my share of every rank's rows
        with self._answers(step):
            dist.all_to_all_single(got, sent)
            mine = _sum_of_rows(got.view(self.world * count, share))
            whole = torch.empty(self.world, share, dtype=rows.dtype, device=rows.device)
            dist.all_gather(list(whole.unbind()), mine)
        self.sent[0] += (count + 1) * share * (self.world - 1) * rows.element_size()
        return whole.view(-1)[:n]

    def agree(self, what: str, digest: str, step: int) -> None:
        """Check that all ranks have the same of something.

        Parameters
        ----------
        what : str
            What it is, for messages.
        digest : str
            Its digest, of which the first 12 hexadecimal digits count.
        step : int
            The step, for messages.

        Raises
        ------
        RankError
            If a rank has another digest than rank 0, or is silent.
        """
        if self.world > 1:
            self.check(what, self.gather(torch.tensor([number(digest)], dtype=torch.float64), step)[:, 0], step)

    def check(self, what: str, numbers: Tensor, step: int) -> None:
        """Check that the numbers of all ranks are that of rank 0.

        Parameters
        ----------
        what : str
            What they stand for, for messages.
        numbers : Tensor
            Shape ``(world,)``.
        step : int
            The step, for messages.

        Raises
        ------
        RankError
            If one is not; it names the ranks.
        """
        if odd := [k for k, value in enumerate(numbers.tolist()) if value != float(numbers[0])]:
            ranks = f"rank{'s' * (len(odd) > 1)} {', '.join(map(str, odd))}"
            raise RankError(
                f"at step {step} {ranks} of {self.world} {'have' if len(odd) > 1 else 'has'} other {what} than rank 0; "
                "the last checkpoint is kept.",
                hint="Start all processes by one command, with the same files, versions and kind of processor.",
            )

    def messages(self, own: str, step: int) -> list[str]:
        """Exchange texts.

        Parameters
        ----------
        own : str
            This rank's; cut off after 2,000 bytes.
        step : int
            The step, for messages.

        Returns
        -------
        list of str
            One text a rank.

        Raises
        ------
        RankLost
            If a rank is silent.
        """
        data = own.encode()[:MESSAGE_BYTES].ljust(MESSAGE_BYTES, b"\0")
        rows = self.gather(torch.tensor(list(data), dtype=torch.uint8), step)
        return [bytes(row.tolist()).rstrip(b"\0").decode(errors="replace") for row in rows]

    @contextmanager
    def _answers(self, step: int) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # what torch raises for a connection that is closed, and for one that is silent
            cause = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
            raise RankLost(
                f"at step {step} another process of this training ended or is silent (this is rank {self.rank} of "
                f"{self.world}: {cause}); the last checkpoint is kept.",
                hint="Look for what ended it; the same command then goes on.",
            ) from error


#: a training of one process
ALONE = Ranks()


def _sum_of_rows(rows: Tensor) -> Tensor:
    total = rows[0].clone()
    for row in rows[1:]:
        total += row
    return total


def number(digest: str) -> float:
    """Make a number of a digest that survives float64.

    Parameters
    ----------
    digest : str
        Hexadecimal digits, at least 12.

    Returns
    -------
    float
        A whole number below 2**48.

    Examples
    --------
    >>> number("0000000000ffe")
    255.0
    """
    return float(int(digest[:DIGITS], 16))


def torchrun_place() -> tuple[int, int] | None:
    """Read this process's place from the environment variables of ``torchrun``.

    Returns
    -------
    tuple of int or None
        ``RANK`` and ``WORLD_SIZE``; None where they are not set.

    Raises
    ------
    TrainingError
        If only one of them is set, or they are no place.
    """
    found = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE")}
    if not any(found.values()):
        return None
    rank, world = found.values()
    if not (rank and world and rank.isdecimal() and world.isdecimal() and int(rank) < int(world)):
        said = ", ".join(f"{name}={value!r}" for name, value in found.items())
        raise TrainingError(
            f"the environment variables {said} are no place among processes.",
            hint="Start by torchrun, which sets both, or unset them.",
        )
    return int(rank), int(world)


def local_processes() -> int:
    """Read how many processes of the training ``torchrun`` runs on this host.

    Returns
    -------
    int
        ``LOCAL_WORLD_SIZE``, or 1.
    """
    text = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(1, int(text)) if text.isdecimal() else 1


def local_place() -> int:
    """Read this process's number among those that ``torchrun`` runs on this host.

    Returns
    -------
    int
        ``LOCAL_RANK``, or 0.

    Raises
    ------
    TrainingError
        If it is no number below ``LOCAL_WORLD_SIZE``.
    """
    text = os.environ.get("LOCAL_RANK", "0")
    if not (text.isdecimal() and int(text) < local_processes()):
        raise TrainingError(
            f"the environment variable LOCAL_RANK={text!r} is no place among the {local_processes()} processes of this host "
            "(LOCAL_WORLD_SIZE).",
            hint="Start by torchrun, which sets both, or unset them.",
        )
    return int(text)


def backend_of(device: torch.device) -> str:
    """Name what carries messages between processes.

    Parameters
    ----------
    device : torch.device
        Where the network is.

    Returns
    -------
    str
        As `torch.distributed.init_process_group` takes it: gloo; and for gradients on GPUs NCCL.

    Examples
    --------
    >>> backend_of(torch.device("cuda", 1))
    'cpu:gloo,cuda:nccl'
    """
    return "gloo" if device.type == "cpu" else f"cpu:gloo,{device.type}:nccl"


@contextmanager
def joined(
    rank: int,
    world: int,
    store: Store | None = None,
    *,
    local: int = 1,
    local_rank: int = 0,
    device: torch.device = torch.device("cpu"),
) -> Iterator[Ranks]:
    """Join the processes of a training: by gloo on a CPU, by NCCL between GPUs.

    Parameters
    ----------
    rank, world : int
        This process's number, and how many there are.
    store : torch.distributed.Store, optional
        Where they meet; by default the ``MASTER_ADDR`` and ``MASTER_PORT`` that ``torchrun`` sets.
    local, local_rank : int
        How many of them run on this host, and this one's number among these.
    device : torch.device
        Where the network is.

    Yields
    ------
    Ranks
        This process among them. A process group that exists already is used, and left as it is.

    Raises
    ------
    RankLost
        If the others do not come.
    """
    if world == 1:
        yield ALONE
        return
    ours = not dist.is_initialized()
    if ours:
        if device.type == "cuda":
            torch.cuda.set_device(device)  # NCCL takes the current one
        place: dict[str, Store | str] = {"init_method": "env://"} if store is None else {"store": store}
        try:
            dist.init_process_group(
                backend_of(device),
                rank=rank,
                world_size=world,
                timeout=timedelta(seconds=timeout_s()),
                **place,  # type: ignore[arg-type]
            )
        except (RuntimeError, ValueError) as error:
            raise RankLost(
                f"rank {rank} of {world} cannot meet the other processes: {str(error).strip().splitlines()[0]}.",
                hint="Look at MASTER_ADDR and MASTER_PORT, and whether all processes were started.",
            ) from error
    try:
        yield Ranks(rank, world, local, local_rank)
    finally:
        if ours:
            dist.destroy_process_group()


def timeout_s() -> float:
    """Read after how long a silent rank ends the others.

    Returns
    -------
    float
        Seconds: the environment variable ``HWSEARCH_RANK_TIMEOUT``, or 1,800.

    Raises
    ------
    TrainingError
        If that is no number above 0.
    """
    text = os.environ.get(TIMEOUT, str(TIMEOUT_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 1e7:
        raise TrainingError(f"the environment variable {TIMEOUT}={text!r} is no number of seconds.")
    return seconds

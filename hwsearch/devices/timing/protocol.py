"""The settings of a latency measurement, and their defaults."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hwsearch._json import JsonObject

#: more measuring processes than any candidate needs
MOST_PROCESSES = 1000


def _ordered(value: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= value[0] <= value[1] <= MOST_PROCESSES:
        raise ValueError(f"must be two numbers from 1 to {MOST_PROCESSES}, the first not larger than the second")
    return value


#: fewest and most measuring processes
ProcessRange = Annotated[tuple[int, int], AfterValidator(_ordered)]


class TimingProtocol(BaseModel):
    """Protocol of latency measurements: how long and how exactly; section ``[protocol]`` of a campaign's configuration.

    A different protocol is a different measurement: the store keeps their values apart by `key`.

    Attributes
    ----------
    processes : (int, int)
        Fewest and most processes that a candidate is measured in.
    loads : int
        Times that a candidate is loaded afresh in each process.
    visits : int
        Blocks of runs for each load.
    block_runs : int
        Fewest runs of a block.
    block_ms : float
        A block lasts at least this long, ms.
    half_width : float
        A candidate has converged when the interval of this measurement alone is within plus or minus this share.
    confidence : float
        Of all intervals, 0.5 to 1.
    warmup_ms : float
        At most this long a load is run, until three blocks in a row agree to 2 %, ms.
    group : int
        Most candidates that are measured together.
    budget_s : float
        How long a group of candidates takes in one process, seconds. Each load gets its share, and one visit at least; the
        round that is under way, and the load that nothing is known without, may go beyond it.

    Examples
    --------
    >>> TimingProtocol().key
    'visits5:2-4x2x6x3/2ms h0.01 c0.95'
    >>> TimingProtocol(loads=0)
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for TimingProtocol
    ...
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    processes: ProcessRange = (2, 4)
    loads: int = Field(2, ge=1, le=1000)
    visits: int = Field(6, ge=1, le=10_000)
    block_runs: int = Field(3, ge=1, le=100_000)
    block_ms: float = Field(2.0, gt=0, le=60_000)
    half_width: float = Field(0.01, gt=0, lt=1)
    confidence: float = Field(0.95, gt=0.5, le=0.9999)
    warmup_ms: float = Field(20.0, gt=0, le=600_000)
    group: int = Field(40, ge=1, le=10_000)
    budget_s: float = Field(120.0, gt=0, le=86_400)

    def describe(self) -> JsonObject:
        """Describe the protocol for a report.

        Returns
        -------
        dict
            Its name, its version and all settings; JSON-able.
        """
        return {"name": "interleaved visits to fresh loads", "version": 3, **self.model_dump(mode="json")}

    def process_s(self, run_ms: float) -> float:
        """Estimate how long one candidate is run in one measuring process.

        Parameters
        ----------
        run_ms : float
            One run, ms.

        Returns
        -------
        float
            Seconds, without loading.

        Examples
        --------
        >>> TimingProtocol(loads=2, visits=10, block_runs=3, block_ms=1.0, warmup_ms=20.0).process_s(10.0)
        0.7
        """
        block_ms = max(self.block_ms, self.block_runs * run_ms)
        return self.loads * (2 * run_ms + max(self.warmup_ms, block_ms) + self.visits * block_ms) / 1000

    @property
    def key(self) -> str:
        """Short text that names the protocol in the store; settings that change no value are not in it."""
        low, high = self.processes
        return (
            f"visits5:{low}-{high}x{self.loads}x{self.visits}x{self.block_runs}/{self.block_ms:g}ms "
            f"h{self.half_width:g} c{self.confidence:g}"
        )

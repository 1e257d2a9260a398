"""How a latency is measured: candidates interleaved, loaded afresh in several processes, the host's speed estimated from all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Protocol:
    """Settings of a measurement; a different protocol is a different measurement.

    processes : fewest and most processes a candidate is measured in
    loads : times it is loaded afresh in each; visits : blocks a load
    block_runs, block_ms : a block lasts at least that many runs and that long
    half_width : a candidate is done when the interval of this measurement alone is within ± this share
    confidence : of all intervals
    warmup_ms : at most this long a load is run until three blocks in a row agree to 2 %
    moved : a group on a host that was never within this share of the calibrated speed is measured again
    group : candidates measured together, at most
    calibrate : measuring processes that a calibration rests on
    budget_s : how long a group of candidates takes in one process; each load gets its share, and one visit at least. The
        round that is under way, and the load that nothing is known without, may go beyond it
    """

    processes: tuple[int, int] = (2, 4)
    loads: int = 2
    visits: int = 6
    block_runs: int = 3
    block_ms: float = 2.0
    half_width: float = 0.01
    confidence: float = 0.95
    warmup_ms: float = 20.0
    moved: float = 0.1
    group: int = 40
    budget_s: float = 120.0
    calibrate: int = 8

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": "interleaved visits to fresh loads",
            "version": 2,
            **asdict(self),
            "processes": [*self.processes],
        }

    @property
    def key(self) -> str:
        """A short text that names the protocol in the store."""
        low, high = self.processes
        return (
            f"visits2:{low}-{high}x{self.loads}x{self.visits}x{self.block_runs}/{self.block_ms:g}ms "
            f"h{self.half_width:g} c{self.confidence:g}"
        )

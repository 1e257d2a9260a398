"""Plain kernels that note which of their methods layers call."""

from __future__ import annotations

from typing import Any

from hwsearch.supernets.kernels import Kernels


class Watched(Kernels):
    """Asks for fused calls, and notes each."""

    fused = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name in (
            "pointwise",
            "depthwise",
            "norm_act",
            "squeeze_excite",
            "pointwise_norm_act",
            "depthwise_norm_act",
            "expand",
        ):
            self.asked.append(name)
        return super().__getattribute__(name)

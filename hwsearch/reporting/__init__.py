"""Figures and one self-contained HTML page, from plain values; knows no engine, no torch and no onnx.

Each name is imported when it is first used, and Matplotlib with it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

#: where each name is defined
PLACES = {
    "DeviceReport": "hwsearch.reporting.data",
    "ReportData": "hwsearch.reporting.data",
    "make_all": "hwsearch.reporting.figures",
    "render": "hwsearch.reporting.page",
    "save_all": "hwsearch.reporting.figures",
    "write_page": "hwsearch.reporting.page",
}

if TYPE_CHECKING:
    from hwsearch.reporting.data import DeviceReport, ReportData
    from hwsearch.reporting.figures import make_all, save_all
    from hwsearch.reporting.page import render, write_page

__all__ = ["DeviceReport", "ReportData", "make_all", "render", "save_all", "write_page"]


def __getattr__(name: str) -> Any:
    if name in PLACES:
        return getattr(import_module(PLACES[name]), name)
    raise AttributeError(f"module 'hwsearch.reporting' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""Figures and one self-contained HTML page, from plain values; knows no engine, no torch and no onnx.

Each name is imported when it is first used, and Matplotlib with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsearch._package import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, PLACES)

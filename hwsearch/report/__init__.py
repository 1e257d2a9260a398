"""Figures and one self-contained HTML page, from plain values; knows no engine, no torch and no onnx."""

from hwsearch._verbs import make_callable
from hwsearch.report.data import DeviceReport, ReportData
from hwsearch.report.figures import make_all, save_all
from hwsearch.report.page import render, write_page

__all__ = ["DeviceReport", "ReportData", "make_all", "render", "save_all", "write_page"]

make_callable(__name__)

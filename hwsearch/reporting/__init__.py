"""Figures and one self-contained HTML page, from plain values; knows no engine, no torch and no onnx."""

from hwsearch.reporting.data import DeviceReport, ReportData
from hwsearch.reporting.figures import make_all, save_all
from hwsearch.reporting.page import render, write_page

__all__ = ["DeviceReport", "ReportData", "make_all", "render", "save_all", "write_page"]

"""ONNX files of subnets: lowered in milliseconds, verified, with a card."""

from hwsearch.exporters.bundle import write_bundle
from hwsearch.exporters.onnx.lower import INPUT, OUTPUT, lower, torch_export
from hwsearch.exporters.onnx.serialise import serialise
from hwsearch.exporters.verify import run_onnx, verify

__all__ = [
    "INPUT",
    "OUTPUT",
    "lower",
    "run_onnx",
    "serialise",
    "torch_export",
    "verify",
    "write_bundle",
]

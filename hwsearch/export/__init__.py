"""ONNX files of subnets: lowered in milliseconds, verified, with a card."""

from hwsearch._verbs import make_callable
from hwsearch.export.bundle import write_atomic, write_bundle
from hwsearch.export.lower import INPUT, OUTPUT, lower, torch_export
from hwsearch.export.serialise import serialise
from hwsearch.export.verify import run_onnx, verify

__all__ = [
    "INPUT",
    "OUTPUT",
    "lower",
    "run_onnx",
    "serialise",
    "torch_export",
    "verify",
    "write_atomic",
    "write_bundle",
]

make_callable(__name__)

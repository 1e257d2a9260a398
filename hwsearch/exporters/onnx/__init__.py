"""ONNX models of plain torch networks, written by rules in milliseconds."""

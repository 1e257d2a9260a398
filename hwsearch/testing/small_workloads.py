"""Small networks in both forms, for tests of runtimes."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

SHAPE = (3, 8, 8)


class SmallNet(nn.Module):
    """A convolution and a classifier.

    Parameters
    ----------
    factor : float
        Scales its logits; NaN spoils them.
    """

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.classifier = nn.Linear(4, 5)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits.

        Parameters
        ----------
        x : torch.Tensor
            Shape (batch, 3, height, width).

        Returns
        -------
        torch.Tensor
            Shape (batch, 5).
        """
        logits: Tensor = self.classifier(self.conv(x).relu().mean((2, 3)))
        return logits * self.factor


class RefusedNet(nn.Module):
    """A network that cannot run: its classifier takes another number of features."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(7, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Fail at the classifier.

        Parameters
        ----------
        x : torch.Tensor
            Shape (batch, 3, height, width).

        Returns
        -------
        torch.Tensor
            Never.
        """
        answer: Tensor = self.classifier(x.mean((2, 3)))
        return answer


def small_onnx(factor: float = 1.0, *, pool: str = "GlobalAveragePool") -> bytes:
    """Make an ONNX model of a convolution, a rectifier and a pooling with dynamic batch; its output is ``logits``.

    Parameters
    ----------
    factor : float
        Scales the output; NaN spoils it.
    pool : str
        Operator of the pooling; an unknown one makes a model that is refused.

    Returns
    -------
    bytes
        The serialised model.
    """
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "f": np.array(factor, dtype=np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "w"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node(pool, ["b"], ["c"]),
            helper.make_node("Mul", ["c", "f"], ["logits"]),
        ],
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4, 1, 1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())

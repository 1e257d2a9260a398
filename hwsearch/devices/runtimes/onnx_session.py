"""Loaded ONNX models: a call with numpy inputs, or with inputs and outputs bound to device memory."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from typing_extensions import override

from hwsearch.devices.runtimes.base import HostClock


class OnnxSession(HostClock):
    """A loaded model with its inputs; `run` is one call of `InferenceSession.run`, as a user makes it.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The loaded model.
    feed : dict of str to numpy.ndarray
        Inputs by name.
    """

    def __init__(self, session: ort.InferenceSession, feed: dict[str, np.ndarray]) -> None:
        self._session = session
        self._feed = feed

    @override
    def run(self) -> None:
        self._session.run(None, self._feed)

    def outputs(self) -> dict[str, np.ndarray]:
        """Run once and return the outputs.

        Returns
        -------
        dict of str to numpy.ndarray
            By name.
        """
        names = [o.name for o in self._session.get_outputs()]
        return dict(zip(names, self._session.run(None, self._feed), strict=True))

    @override
    def close(self) -> None:
        del self._session


class BoundSession(OnnxSession):
    """A loaded model whose inputs and outputs stay on the device, in memory that is taken once: no copy is in the figure.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The loaded model.
    feed : dict of str to numpy.ndarray
        Inputs by name.
    place : str
        ONNX Runtime's name of the device's memory, such as ``cuda``.
    index : int
        Which of several.
    """

    def __init__(self, session: ort.InferenceSession, feed: dict[str, np.ndarray], place: str, index: int) -> None:
        super().__init__(session, feed)
        self._binding = session.io_binding()
        for name, value in feed.items():
            self._binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value, place, index))
        for output in session.get_outputs():
            self._binding.bind_output(output.name, place, index)
        self.run()  # now the outputs have their shapes
        for output, value in zip(session.get_outputs(), self._binding.get_outputs(), strict=True):
            self._binding.bind_ortvalue_output(output.name, value)

    @override
    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    @override
    def outputs(self) -> dict[str, np.ndarray]:
        self.run()
        names = [o.name for o in self._session.get_outputs()]
        return dict(zip(names, self._binding.copy_outputs_to_cpu(), strict=True))

    @override
    def close(self) -> None:
        del self._binding
        super().close()

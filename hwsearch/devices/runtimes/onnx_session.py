"""Loaded ONNX models: a call with numpy inputs, or with inputs and outputs bound to device memory."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

from hwsearch.devices.runtimes.base import HostClock


class OnnxSession(HostClock):
    """A loaded model with its input; `run` is one call of `InferenceSession.run`, as a user makes it."""

    def __init__(self, session: ort.InferenceSession, feed: dict[str, np.ndarray]) -> None:
        self._session = session
        self._feed = feed

    def run(self) -> None:
        self._session.run(None, self._feed)

    def outputs(self) -> dict[str, np.ndarray]:
        """The outputs of one run, by name."""
        names = [o.name for o in self._session.get_outputs()]
        return dict(zip(names, self._session.run(None, self._feed), strict=True))

    def close(self) -> None:
        del self._session


class BoundSession(OnnxSession):
    """The same with inputs and outputs that stay on the device, in memory that is taken once: no copy is in the figure."""

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

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def outputs(self) -> dict[str, np.ndarray]:
        self.run()
        names = [o.name for o in self._session.get_outputs()]
        return dict(zip(names, self._binding.copy_outputs_to_cpu(), strict=True))

    def close(self) -> None:
        del self._binding
        super().close()

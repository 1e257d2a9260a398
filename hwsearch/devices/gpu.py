"""NVIDIA GPUs, as their driver describes them."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

from hwsearch._json import JsonObject
from hwsearch.devices.meters import Nvml

#: NVML's reasons for a clock lower than asked that make a figure doubtful, in words
THROTTLES = {
    "nvmlClocksThrottleReasonSwPowerCap": "power cap",
    "nvmlClocksThrottleReasonHwSlowdown": "hardware slowdown",
    "nvmlClocksThrottleReasonSwThermalSlowdown": "too hot",
    "nvmlClocksThrottleReasonHwThermalSlowdown": "too hot",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown": "power brake",
}


class Gpu:
    """State of one NVIDIA GPU as the driver tells it through nvidia-ml-py; None for all that it, or a missing package, does not tell.

    Parameters
    ----------
    uuid : str
        As torch has it, which counts only the GPUs that this process may see.
    nvml : module, optional
        Stands in for ``pynvml`` in tests.
    """

    def __init__(self, uuid: str, nvml: Any = None) -> None:
        self.nvml: Any = None
        self.handle: Any = None
        with suppress(ImportError):
            nvml = nvml or import_module("pynvml")
            with suppress(nvml.NVMLError):
                nvml.nvmlInit()
                self.handle = nvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
                self.nvml = nvml

    def _ask(self, name: str, *arguments: Any) -> Any:
        if self.nvml is None:
            return None
        try:
            answer = getattr(self.nvml, name)(*arguments)
        except self.nvml.NVMLError:  # not supported on this GPU
            return None
        return answer.decode() if isinstance(answer, bytes) else answer

    def _clock(self, name: str, kind: str) -> Any:
        return self._ask(name, self.handle, getattr(self.nvml, kind)) if self.nvml else None

    def facts(self) -> JsonObject:
        """Describe what a latency depends on and does not change by itself.

        Returns
        -------
        dict
            Driver, highest clocks (MHz), power limit (mW).
        """
        return {
            "driver": self._ask("nvmlSystemGetDriverVersion"),
            "max_sm_clock_mhz": self._clock("nvmlDeviceGetMaxClockInfo", "NVML_CLOCK_SM"),
            "max_memory_clock_mhz": self._clock("nvmlDeviceGetMaxClockInfo", "NVML_CLOCK_MEM"),
            "power_limit_mw": self._ask("nvmlDeviceGetEnforcedPowerLimit", self.handle),
        }

    def state(self) -> JsonObject:
        """Describe the GPU at this moment.

        Returns
        -------
        dict
            Clock (MHz), temperature (°C), power (mW), and what holds the clock down.
        """
        mask = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", self.handle)
        return {
            "sm_clock_mhz": self._clock("nvmlDeviceGetClockInfo", "NVML_CLOCK_SM"),
            "temperature_c": self._clock("nvmlDeviceGetTemperature", "NVML_TEMPERATURE_GPU"),
            "power_mw": self._ask("nvmlDeviceGetPowerUsage", self.handle),
            "throttled": self.reasons(mask) if mask is not None else None,
        }

    def reasons(self, mask: int) -> list[str]:
        """Say in words what holds the clock down.

        Parameters
        ----------
        mask : int
            NVML's throttle reasons.

        Returns
        -------
        list of str
            In alphabetical order; reasons that make no figure doubtful are left out.
        """
        return sorted({word for name, word in THROTTLES.items() if mask & int(getattr(self.nvml, name))})

    def energy(self) -> Nvml | None:
        """Find the GPU's energy counter.

        Returns
        -------
        Nvml or None
            None where it has none.
        """
        with suppress(OSError):
            return Nvml(self.nvml, self.handle) if self.nvml is not None else None
        return None

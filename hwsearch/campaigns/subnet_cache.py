"""A bounded memory of subnets that a campaign has built, so that none is built twice for several devices or purposes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from hwsearch.accuracy.recalibrate import batch_norms
from hwsearch.devices import Workload

#: bytes of serialised models that are kept; the least recently used go first
MODEL_BYTES = 256 * 2**20
#: subnets whose batch-norm statistics are kept
STATISTICS = 1000

#: digest of the supernet, architecture id
Key = tuple[str, str]


class SubnetCache:
    """Recalibrated batch-norm statistics and serialised ONNX models of subnets, in memory, bounded.

    Parameters
    ----------
    model_bytes : int
        Bytes of serialised models that are kept.
    statistics : int
        Subnets whose batch-norm statistics are kept.
    """

    def __init__(self, model_bytes: int = MODEL_BYTES, statistics: int = STATISTICS) -> None:
        self.model_bytes, self.most = model_bytes, statistics
        self._statistics: OrderedDict[Key, dict[str, Tensor]] = OrderedDict()
        self._workloads: OrderedDict[tuple[Key, bool], Workload] = OrderedDict()
        self._held = 0

    def recalibrated(self, key: Key) -> Mapping[str, Tensor] | None:
        """Return the buffers of a subnet's recalibrated batch norms.

        Parameters
        ----------
        key : tuple of str
            Digest of the supernet, architecture id.

        Returns
        -------
        mapping of str to torch.Tensor, or None
            By name; None if they are not kept.
        """
        return self._statistics.get(key)

    def keep_recalibrated(self, key: Key, net: nn.Module) -> None:
        """Keep copies of the buffers of a recalibrated subnet's batch norms.

        Parameters
        ----------
        key : tuple of str
            Digest of the supernet, architecture id.
        net : torch.nn.Module
            The subnet.
        """
        norms = batch_norms(net)
        names = {f"{norm}." if norm else "" for norm in norms}
        buffers = {k: v.detach().clone() for k, v in net.named_buffers() if k[: k.rfind(".") + 1] in names}
        self._statistics[key] = buffers
        while len(self._statistics) > self.most:
            self._statistics.popitem(last=False)

    def workload(self, key: Key, calibrated: bool, build: Callable[[], Workload]) -> Workload:
        """Return a subnet's serialised models, built where they are not kept.

        Parameters
        ----------
        key : tuple of str
            Digest of the supernet, architecture id.
        calibrated : bool
            Whether its batch norms are recalibrated.
        build : callable
            Makes the workload.

        Returns
        -------
        Workload
            Of ONNX models.
        """
        place = (key, calibrated)
        if place in self._workloads:
            self._workloads.move_to_end(place)
            return self._workloads[place]
        made = self._workloads[place] = build()
        self._held += _size(made)
        while self._held > self.model_bytes:
            self._held -= _size(self._workloads.popitem(last=False)[1])
        return made


def _size(workload: Workload) -> int:
    return sum(len(part.onnx) for part in workload.parts)

"""A second device without hardware: it computes on the processor, and refuses what a GPU refuses.

Tensors of device ``pretend`` wrap tensors of the processor. An operation that gets some of both raises, as one does that gets
tensors of a GPU and of the processor; so a `.to(device)` that was forgotten is found here, and results have the processor's
bits. It takes torch's dispatch key for other devices, once a process: run as a program it trains on both devices, and prints
what it found as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

NAME = "pretend"
#: holds torch's registration for as long as the process lives
LIBRARY = torch.library.Library("_", "IMPL")
#: operations that read one device and write another, and those that a GPU lets take indices of the processor
ACROSS, INDEXED = ("_to_copy", "copy_", "_copy_from"), ("index", "index_put_", "index_put", "_index_put_impl_")


class Pretended(Tensor):
    """A tensor of the device ``pretend``."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Pretended:
        made: Any = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )
        made.inner = inner
        return made  # type: ignore[no-any-return]

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class _Pretending(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the processor, after the check of devices."""
    name = func.overloadpacket.__name__
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    there = [t for t in tensors if isinstance(t, Pretended)]
    asked = kwargs.get("device")
    if there and name not in ACROSS:
        looked_at = tensors if name not in INDEXED else [args[0], *(t for t in args[2:3] if isinstance(t, Tensor))]
        if any(not isinstance(t, Pretended) and t.dim() > 0 for t in looked_at):
            raise RuntimeError(f"Expected all tensors to be on the same device: {func} got {NAME} and cpu.")
    if name in ACROSS[1:]:
        goes_there = isinstance(args[0], Pretended)
    else:
        goes_there = bool(there) if asked is None else torch.device(asked).type == NAME
    plain_args, plain = tree_map_only(Pretended, lambda t: t.inner, (args, kwargs))
    if asked is not None:
        plain["device"] = torch.device("cpu")
    found = func(*plain_args, **plain)
    if not goes_there:
        return found
    known = {id(t.inner): t for t in there}  # in-place operations return what they got
    return tree_map_only(Tensor, lambda t: known[id(t)] if id(t) in known else Pretended(t), found)


class _Module(backend_registration._DummyBackendModule):
    """What torch asks of a device's module."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]


@contextmanager
def pretending() -> Iterator[torch.device]:
    """Have the device within a block; nothing else of the process may have taken torch's key for it."""
    if torch._C._get_privateuse1_backend_name() != NAME:
        backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
        LIBRARY.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")  # autocast changes nothing here
    with _Pretending(), torch.autograd.set_multithreading_enabled(False):
        yield torch.device(NAME, 0)


# ---------------------------------------------------------------------- what is trained
def cases() -> dict[str, tuple[Any, str, dict[str, Any], str]]:
    """Name → family, strategy, settings, kernels."""
    from hwsearch.training.strategies import STRATEGIES
    from tests.training.test_families import REFUSED, declared, pictures, sentences, translations

    mixed = {"mixup": 0.4, "cutmix": 1.0, "randaugment": 1, "ema": 0.9}
    found: dict[str, tuple[Any, str, dict[str, Any], str]] = {}
    for name in STRATEGIES.names():
        if ("pictures", name) not in REFUSED:
            found[f"images, {name}"] = (pictures, name, mixed if name in ("sandwich", "ofa") else {}, "eager")
    for family in (sentences, translations, declared):
        for name in ("mixture", "ofa", "sandwich"):
            found[f"{family.__name__}, {name}"] = (family, name, {}, "eager")
    found["declared, tangle"] = (declared, "tangle", {}, "eager")
    found["ghost batches"] = (pictures, "pada", {"ghost_batches": 2, "ema": 0.9}, "eager")
    found["masked"] = (pictures, "sandwich", {}, "masked")
    found["scaled, pada"] = (pictures, "pada", {"precision": "fp16"}, "eager")
    found["scaled, ghost batches"] = (pictures, "sandwich", {"precision": "fp16", "ghost_batches": 2}, "eager")
    return found


def tensors(state: Any, path: str = "") -> dict[str, Tensor]:
    """All tensors of a checkpoint by name."""
    if isinstance(state, Tensor):
        return {path: state}
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, (list, tuple)) else ()
    return {k: v for key, value in items for k, v in tensors(value, f"{path}.{key}").items()}


def differing(name: str, folder: Path) -> str:
    """Train on the processor in one go, and on a device with a stop in between; what differs between the last checkpoints."""
    from hwsearch.supernets.kernels import choose
    from hwsearch.testing.weights import seeded_weights
    from hwsearch.training import Trainer, TrainingConfig
    from hwsearch.training.strategies import STRATEGIES
    from tests.training.test_families import declared

    family, strategy, settings, kernels = cases()[name]

    def trainer(where: torch.device, place: Path, more: dict[str, Any]) -> Trainer:
        net, task, data = family()
        if family is not declared:
            net.load_state_dict(seeded_weights(net.state_dict()))
        config = TrainingConfig(steps=3, batch=6, lr=0.05, padding=1, **more)
        made = STRATEGIES.load(strategy)()
        chosen = choose(kernels)
        scored = {"validation": data, "calibration": data} if name == "ghost batches" else {}
        return Trainer(net.to(where), made, task, data, config, place, kernels=chosen, **scored)

    usual = {key: value for key, value in settings.items() if key != "precision"}
    trainer(torch.device("cpu"), folder / "cpu", usual).run()
    with pretending() as device:
        for stop in (2, None):
            there = trainer(device, folder / "there", settings)
            there.run(stop_at=stop)
    if any(p.device.type != NAME for p in there.supernet.parameters()):
        return "the supernet is on another device"
    one, two = (torch.load(folder / place / "training.pt", weights_only=True) for place in ("cpu", "there"))
    expected, found = tensors(one), tensors(two)
    if any(value.device.type != "cpu" or isinstance(value, Pretended) for value in found.values()):
        return "the checkpoint has tensors of the device"
    if two["identity"]["device"] != NAME:
        return f"the device is not told: {two['identity']['device']}"
    if settings.get("precision") == "fp16" and two["precision"].get("_growth_tracker") != 3:
        return f"the scale of losses is not kept: {two['precision']}"
    names = [k for k in expected.keys() | found.keys() if k not in expected or k not in found]
    names += [k for k in expected.keys() & found.keys() if not torch.equal(expected[k], found[k])]
    return ", ".join(sorted(names)[:5])


def mixing() -> str:
    """What the device says of an operation with tensors of both."""
    try:
        with pretending() as device:
            torch.ones(2, device=device) + torch.ones(2)
    except RuntimeError as error:
        return str(error)
    return "nothing"


def main(names: list[str]) -> int:
    """Print what differs, by case: of all, or of those that are named."""
    torch.set_num_threads(1)
    found = {"mixing": mixing()}
    for name in names or cases():
        with tempfile.TemporaryDirectory() as folder:
            try:
                found[name] = differing(name, Path(folder))
            except Exception:
                found[name] = traceback.format_exc()[-3000:]
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

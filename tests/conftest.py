"""Shared by all tests: one torch thread, and a small elastic MobileNetV3 in which nothing has its initial value."""

from __future__ import annotations

import gc
import os
import signal
import sys

os.environ["OMP_NUM_THREADS"] = "1"  # before any library starts threads; campaigns go by it, here and in subprocesses

gc.set_threshold(100_000, 20, 20)  # what is imported here is half a million objects, and none of them is garbage

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings
from matplotlib.figure import Figure
from torch import nn

from hwsearch.reporting import ReportData, make_all
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3

torch.set_num_threads(1)

# Each run of `make test` draws the same examples, so that it fails for what was changed and for nothing else; `make fuzz`
# draws others.
# how long data take to draw is the host's affair: a test must not fail on a busy one
settings.register_profile("repeatable", derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("searching", print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Take modules and tests out of what each garbage collection goes through; it was a tenth of the tests' time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _ctrl_c_ends_with_its_test() -> Iterator[None]:
    """A handler that a test installs, and that Ctrl-C came, are nothing that a later test of this process knows."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
    if (module := sys.modules.get("hwsearch.cli.interruption")) is not None:
        module._Interruption.came = module._Interruption.open = False


def _randomise(net: nn.Module, seed: int = 0) -> None:
    """Random weights, norms, statistics and kernel matrices: an identity matrix would hide a wrong transform."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.normal_(0.0, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 2.0, generator=generator)
        for name, parameter in net.named_parameters():
            if name.endswith("_matrix"):
                parameter.normal_(0.0, parameter.shape[0] ** -0.5, generator=generator)
            elif parameter.ndim > 1:
                parameter.normal_(0.0, (2 / parameter[0].numel()) ** 0.5, generator=generator)
            else:
                parameter.uniform_(0.3, 1.5, generator=generator)


@pytest.fixture(scope="session")
def randomise() -> Callable[..., None]:
    return _randomise


#: the kinds of reports whose figures were made
_DRAWN: set[tuple[object, ...]] = set()


@pytest.fixture
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report's figures are made once for each kind of report and never written: most of a small campaign's time.

    tests/reporting looks at what is written and at the narrow figures, and the campaign that tests share has all of it.
    """

    def only_made(report: ReportData, **options: bool) -> dict[str, Figure]:
        devices = tuple((len(d.front) > 1, d.hypervolume.empty, len(d.picks)) for d in report.devices)
        kind = (
            report.metric,
            report.metric.unit,
            *map(str, report.objectives),
            report.supernet["name"],
            devices,
            *options.items(),
        )
        if kind not in _DRAWN:
            assert make_all(report, **options)
            _DRAWN.add(kind)
        return {}

    monkeypatch.setattr("hwsearch.campaigns.steps.report.make_all", only_made)
    monkeypatch.setattr("hwsearch.reporting.page.make_all", lambda report, **options: {})
    monkeypatch.setattr("hwsearch.campaigns.steps.fit.save_figure", lambda figure, folder, stem: [])


@pytest.fixture
def small_supernet() -> ElasticMobileNetV3:
    """Two stages, three kernels, three expansions, two depths; 16 to 32 pixels; 4 classes; evaluation mode."""
    stages = (Stage(8, 1, "relu", False), Stage(16, 2, "h_swish", True))
    config = MobileNetV3Config(
        "small-mbv3",
        stages,
        stem_width=8,
        final_width=32,
        mix_width=48,
        classes=4,
        expansions=(2, 3, 4),
        depths=(1, 2, 3),
        resolutions=(16, 20, 24, 32),
    )
    net = ElasticMobileNetV3(config)
    _randomise(net)
    return net.eval()


@pytest.fixture(scope="session")
def ofa_config() -> MobileNetV3Config:
    """Once-for-All's published shape, width 1.0, 1000 classes, 128 to 224 pixels."""
    stages = (
        Stage(24, 2, "relu", False),
        Stage(40, 2, "relu", True),
        Stage(80, 2, "h_swish", False),
        Stage(112, 1, "h_swish", True),
        Stage(160, 2, "h_swish", True),
    )
    return MobileNetV3Config("ofa-w1.0", stages)

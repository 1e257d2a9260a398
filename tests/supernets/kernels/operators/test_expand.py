"""1×1 and depth-wise convolution with their norms in one, against float64 over random shapes and layouts."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, assume, given, settings

from hwsearch.supernets.kernels import EAGER, Kernels
from hwsearch.supernets.kernels.native import NativeKernels
from hwsearch.supernets.kernels.operators.expand import expand
from tests.supernets.kernels.cases import Case, cases, cast, check, results


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases(smallest_batch=1))
def test_results_equal_float64(native: NativeKernels, case: Case) -> None:
    assume(case.pixels >= 24 and case.channels > 2)  # behind the norm of one input the gradient is zero
    x, w = case.image(case.channels, case.height, case.width), case.draw(case.outputs, case.channels, 1, 1)
    deep = case.draw(case.outputs, 1, case.kernel, case.kernel)
    w, deep = w + w.sign() / 2, deep + deep.sign() / 2
    norm = case.norm(case.outputs)

    def operator(k, t):  # type: ignore[no-untyped-def]
        norms = [cast(norm, t[0])._replace(weight=t[2 + i], bias=t[3 + i]) for i in (0, 3)]
        return k.expand(t[0], t[1], norms[0], t[4], case.stride, norms[1], case.act)

    inputs = [x, w, norm.weight, norm.bias, deep, norm.weight, norm.bias]
    if case.act in ("identity", "silu"):
        check(native, operator, inputs, case.threads, floor=10.0)
        return
    # rounding decides on which side of a jump of the slope a value falls, so the reference is one convolution after the other
    torch.set_num_threads(case.threads)
    found, after = results(native, operator, inputs), results(_OneAfterTheOther(native.library), operator, inputs)
    torch.set_num_threads(1)
    for a, b in zip(found, after, strict=True):
        assert float((a - b).abs().max()) <= 1e-5 * max(float(b.abs().max()), 10.0)


class _OneAfterTheOther(NativeKernels):
    """The native kernels without the one that is tested."""

    expand = Kernels.expand  # type: ignore[assignment]


def test_both_norms_keep_their_statistics(native: NativeKernels) -> None:
    case = Case(3, 5, 8, 7, 12, 5, 2, "hardswish", "channels last", False, 2, 0)
    x, w, deep = case.image(5, 8, 7), case.draw(12, 5, 1, 1), case.draw(12, 1, 5, 5)
    norms = {k: (case.norm(12), case.norm(12)) for k in ("native", "eager")}
    for kernels in (native, EAGER):
        first, second = norms[kernels.name]
        kernels.expand(x, w, first, deep, 2, second, "hardswish")
    for a, b in zip(*norms.values(), strict=True):
        assert torch.allclose(a.running_mean, b.running_mean, rtol=1e-5, atol=1e-6)
        assert torch.allclose(a.running_var, b.running_var, rtol=1e-5)


def test_opcheck(native: NativeKernels) -> None:
    shapes = ((2, 3, 6, 5), (7, 3, 1, 1), (7,), (7,), (7, 1, 3, 3), (7,), (7,))
    torch.library.opcheck(expand, (*(torch.randn(*s, requires_grad=True) for s in shapes), 1, 3, 1e-5, 1e-5))

"""The fused network against means computed by numpy, in torch and in onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

from hwsearch.campaigns.ensembles.fusion import FUSIONS, Fusion, fused_part, shares_of
from hwsearch.exporters import lower, run_onnx, serialise
from hwsearch.supernets.base import Part
from hwsearch.tasks.inputs import Input


def part(side: int, seed: int) -> Part:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()
    return Part("", net, (Input("image", (3, side, side)),))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_mean_is_that_of_numpy(fusion: Fusion) -> None:
    parts = [part(8, 0), part(12, 1), part(8, 2)]
    whole = fused_part(parts, fusion)
    assert [i.name for i in whole.inputs] == ["image", "image_2"] and whole.outputs == (fusion,)
    small, large = torch.randn(7, 3, 8, 8), torch.randn(7, 3, 12, 12)
    with torch.no_grad():
        logits = [p.net(x).numpy().astype(np.float64) for p, x in zip(parts, (small, large, small), strict=True)]
        found = whole.net(small, large).numpy()
    expected = np.mean([softmax(z, axis=1) if fusion == "probabilities" else z for z in logits], axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    model = lower(whole.net, whole.inputs, outputs=whole.outputs)
    for n in (1, 7):
        (out,) = run_onnx(serialise(model), small[:n].numpy(), large[:n].numpy())
        np.testing.assert_allclose(out, expected[:n], atol=1e-5)
    shares = [shares_of(z.astype(np.float32), fusion) for z in logits]
    np.testing.assert_allclose(sum(shares) / 3, expected, atol=1e-6)


def test_members_of_equal_inputs_share_them() -> None:
    assert [i.name for i in fused_part([part(8, 0), part(8, 1)], "logits").inputs] == ["image"]

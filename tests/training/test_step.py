"""One step: feedback and weights of examples, against gradients computed by themselves."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from hwsearch.training.strategies.pada import PathAndDataSampling
from hwsearch.training.strategies.uniform import Uniform


def test_norms_of_examples_are_those_of_the_loss_at_the_outputs(start, stepped) -> None:
    """Cross-entropy's gradient at the logits is softmax − one-hot."""
    case = start(PathAndDataSampling(paths=False))
    case.recipe.sampler.sample(case.recipe.schedule.at(0), np.random.default_rng(0))
    (seen,) = stepped(case, weight=np.linspace(0.5, 2, 32)).seen
    x, y = next(case.run.data.batches(16, 32))
    case.net.activate(seen.arch)
    with torch.no_grad():
        logits = case.net(case.run.task.resize(x, case.net.input_size(seen.arch)))
    expected = (logits.softmax(1) - F.one_hot(y, 3)).norm(dim=1)
    torch.testing.assert_close(seen.per_example, expected, rtol=1e-4, atol=1e-6)


def test_weights_of_examples_weigh_their_gradients(start, stepped) -> None:
    """Weight 0 for all but two examples and 16 for those: the gradient of their mean loss, on the same batch statistics."""
    case = start(Uniform())
    weight = np.zeros(32)
    weight[[4, 9]] = 16.0
    (seen,) = stepped(case, weight=weight).seen
    found = {n: p.grad.clone() for n, p in case.net.named_parameters() if p.grad is not None}
    case.net.zero_grad()
    x, y = next(case.run.data.batches(16, 32))
    case.net.activate(seen.arch)
    logits = case.net(case.run.task.resize(x, case.net.input_size(seen.arch)))
    F.cross_entropy(logits[[4, 9]], y[[4, 9]]).backward()
    for name, parameter in case.net.named_parameters():
        if name in found:
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_gradients_of_each_pass_are_told_apart(start, stepped) -> None:
    case = start(Uniform(draws=3))
    case.run.bus.subscribe("gradient")
    case.run.bus.subscribe("gradient_norms")
    seen = stepped(case).seen
    total = {n: p.grad for n, p in case.net.named_parameters() if p.grad is not None}
    for name, value in total.items():
        parts = [s.gradient[name] for s in seen if s.gradient is not None and name in s.gradient]
        torch.testing.assert_close(sum(parts), value, rtol=1e-4, atol=1e-6)
    norms = seen[1].gradient_norms
    assert norms is not None and seen[1].gradient is not None
    assert norms == {n: float(g.norm()) for n, g in seen[1].gradient.items()}

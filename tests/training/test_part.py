"""Settings that are not valid are explained."""

from __future__ import annotations

import pytest

from hwsearch.errors import TrainingError
from hwsearch.training import TrainingConfig
from hwsearch.training.parts.feedback import Bus
from hwsearch.training.strategies.uniform import Uniform


def test_a_setting_out_of_range_is_explained() -> None:
    with pytest.raises(TrainingError, match=r"Uniform: draws=0 is not valid: .*greater than or equal to 1"):
        Uniform(draws=0)
    with pytest.raises(TrainingError, match=r"TrainingConfig has no setting 'lrr'\. Did you mean 'lr'"):
        TrainingConfig(lrr=1)  # type: ignore[call-arg]
    with pytest.raises(TrainingError, match="there is no feedback channel 'gradients'"):
        Bus().subscribe("gradients")  # type: ignore[arg-type]

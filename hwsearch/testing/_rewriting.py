"""Let pytest show the values in a failed assertion of the suites, as it does in test files; imported before them."""

import pytest

SUITES = ("objectives", "predictors", "runtimes", "searchers", "strategies", "supernets", "tasks")

pytest.register_assert_rewrite(*(f"hwsearch.testing.{suite}" for suite in SUITES))

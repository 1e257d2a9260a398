"""Tactics guided by predictors: fit on what was told, search on predictions, measure the best."""

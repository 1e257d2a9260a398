"""Tactics driven by Optuna's samplers, and campaigns as Optuna studies."""

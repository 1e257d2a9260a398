"""Tactics with Gaussian processes: the default one, ParEGO, and BoTorch's batches."""

"""Metrics: a function and a torchmetrics.Metric for each, and the suite that computes them all."""

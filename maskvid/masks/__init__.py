"""Mask sequences: reading, checking, resampling."""

"""Lightning callbacks: averaged weights, progress, sampled videos, the metrics table; loggers and checkpoint files."""

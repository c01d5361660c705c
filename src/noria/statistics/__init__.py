"""Intervals around measured numbers: NumPy and SciPy only, no torch."""

"""Validated rows: cleaned, split without leaks, sampled."""

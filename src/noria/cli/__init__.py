"""Compose, check, run one stage. Owns the exit statuses; `scripts/run.py` and `noria` are this."""

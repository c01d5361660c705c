"""The Lightning Trainer and what it runs on: precision, steps, devices. Knows no task and no data."""

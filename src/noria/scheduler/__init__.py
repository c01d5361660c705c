"""Learning-rate schedules, stepped once per optimizer step."""

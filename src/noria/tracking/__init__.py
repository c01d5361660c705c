"""What a run leaves behind: its record, its tables, its W&B run. Knows not how a model is trained."""

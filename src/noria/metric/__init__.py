"""One metric a file, each a number with its interval, computed by torchmetrics."""

"""What watches or steers training: progress, throughput, checkpoints, RNG state. Knows no task and no config."""

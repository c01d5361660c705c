"""From an artifact to outputs: the one path that evaluate, predict and serving share. Knows no config."""

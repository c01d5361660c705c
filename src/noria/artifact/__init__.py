"""All that leaves training: a folder that `transformers` opens, and `noria.yaml` beside the weights."""

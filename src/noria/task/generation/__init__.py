"""Texts that a model writes: prompts, how the next token is chosen, and answers in batches or piece by piece."""

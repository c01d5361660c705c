"""One metric a file, each a number with its interval."""

"""Search: documents in an index folder, found by their words, by their vectors, or by both."""

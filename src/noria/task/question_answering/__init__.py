"""An answer to a question as a span of a passage, or none."""

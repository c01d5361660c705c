"""One file a step; the newest one must make what `noria.feedback.tables` says."""

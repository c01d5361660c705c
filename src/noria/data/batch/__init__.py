"""Token ids kept on disk, batches of like length, and a loader that can go on from any batch."""

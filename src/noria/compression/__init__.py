"""Smaller and faster: an artifact in, an artifact out that says the same, or nearly."""

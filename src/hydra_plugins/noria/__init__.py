"""Hydra finds plugins here. Thin classes only: they are imported at every start."""

"""Noria: a config-driven research framework for the whole life of a language model."""

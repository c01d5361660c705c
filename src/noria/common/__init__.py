"""Helpers every room may use: paths, errors, logging, hardware. Small; knows neither torch nor a config."""

"""Checks a composed config before anything heavy is imported. Knows neither torch nor lightning."""

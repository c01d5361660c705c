"""Conversations in one form, and as the text that a model's template makes of them."""

"""Texts as vectors: near each other where what they say is, or where one answers the other."""

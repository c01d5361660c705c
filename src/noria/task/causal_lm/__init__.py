"""The next token from those before it: plain text, and conversations of which the answers are learnt."""

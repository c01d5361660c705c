"""Text in, text out: translation, summarisation, any task whose answer is a text of its own."""

"""Other ways of learning a kind of work, laid around it."""

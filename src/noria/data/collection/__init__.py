"""Documents, questions about them, and which documents people judged to be relevant: what a search is measured on."""

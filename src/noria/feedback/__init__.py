"""What a served model answered, and what people said of it: a store in SQL, and how personal data is taken out."""

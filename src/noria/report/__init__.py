"""What people look at: pages, pictures, tables, and what a command prints. Decides nothing."""

"""Functions from a network to a torch optimizer with named parameter groups."""

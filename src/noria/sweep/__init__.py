"""Many trials: which they are, who runs each, in processes of their own, and what came of them."""

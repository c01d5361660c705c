"""Many runs side by side: which differ in truth, by how much, and what that looks like."""

"""Many runs side by side: which differ in truth, and by how much."""

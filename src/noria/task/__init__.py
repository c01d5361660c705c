"""LightningModules: what is learnt, and from what loss. Knows no data source and no config."""

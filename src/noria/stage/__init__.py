"""The verbs. The only wiring: each file puts the rooms together in the order in which data flows."""

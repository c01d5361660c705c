"""The Transformer from its formulas (Vaswani et al. 2017): one idea a file, plain modules."""

"""Sources -> rows -> tokens -> batches, as LightningDataModules.

Knows the texts, their labels and the tokenizer; nothing of models, losses or configs.
"""

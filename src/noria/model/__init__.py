"""Pure `nn.Module`s: pretrained models and their heads. Knows no loss, no data and no config."""

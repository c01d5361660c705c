"""The whole network against `torch.nn.Transformer` with the same weights."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from noria.model.transformer.network import EncoderDecoder
from noria.model.transformer.shape import Shape

CLOSE = {torch.float64: 1e-10, torch.float32: 1e-5}
SIZES = {"vocab_size": 50, "d_model": 32, "num_heads": 4, "d_ff": 48, "num_encoder_layers": 2, "num_decoder_layers": 3}


def theirs_with_our_weights(ours, norm_first):
    shape = ours.shape
    made = nn.Transformer(
        32, 4, 2, 3, 48, dropout=0.0, activation=shape.activation, norm_first=norm_first, batch_first=True
    )
    if not norm_first:  # torch adds a last norm in either case
        made.encoder.norm = made.decoder.norm = None
    state = {}
    for half, stack in (("encoder", ours.encoder), ("decoder", ours.decoder)):
        for number, block in enumerate(stack.layers):
            norms = [block.attention_residual.norm, block.feed_forward_residual.norm]
            parts = {"self_attn": (block.attention.inputs, block.attention.output)}
            if block.cross is not None:
                norms.insert(1, block.cross_residual.norm)
                both = [torch.cat(pair) for pair in zip(block.cross.query.parameters(), block.cross.memory.parameters(),
                                                        strict=True)]  # fmt: skip
                state |= {f"{half}.layers.{number}.multihead_attn.in_proj_weight": both[0]}
                state |= {f"{half}.layers.{number}.multihead_attn.in_proj_bias": both[1]}
                state |= named(f"{half}.layers.{number}.multihead_attn.out_proj", block.cross.output)
            inputs, output = parts["self_attn"]
            state |= {f"{half}.layers.{number}.self_attn.in_proj_{k}": v for k, v in inputs.named_parameters()}
            state |= named(f"{half}.layers.{number}.self_attn.out_proj", output)
            state |= named(f"{half}.layers.{number}.linear1", block.feed_forward.inner)
            state |= named(f"{half}.layers.{number}.linear2", block.feed_forward.outer)
            for place, norm in enumerate(norms, 1):
                state |= named(f"{half}.layers.{number}.norm{place}", norm)
        if norm_first:
            state |= named(f"{half}.norm", stack.last_norm)
    made.load_state_dict(state)
    return made


def named(prefix, module):
    return {f"{prefix}.{name}": value for name, value in module.named_parameters()}


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_it_is_torchs_transformer(dtype, norm_first, training):
    torch.manual_seed(0)
    shape = Shape(architecture="both", max_position_embeddings=20, norm_first=norm_first, dropout=0.0, pad=49, **SIZES)
    ours = EncoderDecoder(shape, None)
    for name, weight in ours.named_parameters():  # biases and norms as training leaves them
        if weight.ndim == 1:
            nn.init.normal_(weight, float("norm.weight" in name), 0.3)
    ours = ours.to(dtype).train(training)
    theirs = theirs_with_our_weights(ours, norm_first).to(dtype).train(training)
    source, target = torch.randint(0, 49, (3, 9)), torch.randint(0, 49, (3, 6))
    there = torch.arange(9) < torch.tensor([9, 5, 1])[:, None]
    future = ~torch.ones(6, 6, dtype=torch.bool).tril()
    expected = theirs(
        ours.encoder.embedded(source), ours.decoder.embedded(target), tgt_mask=future, tgt_is_causal=True,
        src_key_padding_mask=~there, memory_key_padding_mask=~there,
    )  # fmt: skip
    found = ours.decoder(target, None, ours.encoder(source, there), there)
    assert (found - expected).abs().max() < CLOSE[dtype]
    assert ours(source, there, target).logits.shape == (3, 6, 50)


def test_the_losses_are_those_of_the_scores():
    torch.manual_seed(0)
    ours = EncoderDecoder(Shape(architecture="both", max_position_embeddings=20, pad=49, **SIZES), None).eval()
    source, target = torch.randint(0, 49, (2, 4)), torch.randint(0, 49, (2, 5))
    labels = torch.randint(0, 49, (2, 5)).masked_fill(torch.rand(2, 5) < 0.5, -100)
    at = labels >= 0
    logits = ours(source, None, target).logits[at]
    found = ours(source, None, target, labels, 0.1)
    for column, smoothing in ((0, 0.1), (1, 0.0)):
        expected = cross_entropy(logits, labels[at], reduction="none", label_smoothing=smoothing)
        assert torch.allclose(found[:, column], expected, atol=1e-5)

"""Each shape is an architecture of the transformers library: what is saved opens there, with the same outputs."""

from itertools import product

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from noria.model.transformer.fresh import Transformer
from noria.model.transformer.network import Classifier, EncoderDecoder, LanguageModel
from noria.model.transformer.saved import from_library, library_config
from noria.model.transformer.shape import Shape

SIZES = {"vocab_size": 50, "d_model": 32, "num_heads": 4, "d_ff": 48, "num_encoder_layers": 2, "num_decoder_layers": 3,
         "max_position_embeddings": 20, "pad": 49}  # fmt: skip
CHOICES = list(product(
    ("encoder", "decoder", "both"), ("layer", "rms"), (False, True), ("sinusoidal", "learned", "rotary"),
    ("relu", "gelu", "silu", "swiglu"), (True, False),
))  # fmt: skip
NAMES = ("architecture", "norm", "norm_first", "positions", "activation", "tie_embeddings")
HOMES = {"Marian": "marian", "BART": "bart", "Pegasus": "pegasus", "GPT-2": "gpt2", "OPT": "opt", "Llama": "llama",
         "BERT": "bert"}  # fmt: skip
MADE = {"encoder": lambda shape, config: Classifier(shape, config, 3, tokens=False), "decoder": LanguageModel,
        "both": EncoderDecoder}  # fmt: skip
OPENED = {"encoder": AutoModelForSequenceClassification, "decoder": AutoModelForCausalLM, "both": AutoModelForSeq2SeqLM}


def at_home(choice):
    """The architectures that the config's rule has for a choice, by the library's names."""
    given = dict(zip(NAMES, choice, strict=True))
    return [HOMES[name] for name, keys in Transformer.homes.items() if all(given[key] in keys[key] for key in keys)]


def test_every_architecture_has_a_shape_and_every_shape_one_architecture():
    found = [at_home(choice) for choice in CHOICES]
    assert {name for names in found for name in names} == {*HOMES.values()} and len(HOMES) == 7
    assert max(map(len, found)) == 1
    for choice, names in zip(CHOICES, found, strict=True):
        shape = Shape(**dict(zip(NAMES, choice, strict=True)), **SIZES)
        if names:
            assert library_config(shape, end=0).model_type == names[0]
        else:
            with pytest.raises(ValueError, match="no architecture"):
                library_config(shape, end=0)


SAVED = [choice for choice in CHOICES if at_home(choice) and choice[4] in ("gelu", "swiglu")]


@pytest.mark.parametrize("choice", SAVED, ids=lambda choice: "-".join(map(str, choice)))
def test_it_opens_with_the_same_outputs(choice, tmp_path):
    torch.manual_seed(0)
    shape = Shape(**dict(zip(NAMES, choice, strict=True)), **SIZES)
    config = library_config(shape, end=0)
    config.num_labels = 3
    network = MADE[shape.architecture](shape, config)
    for name, weight in network.named_parameters():
        if weight.ndim == 1:
            torch.nn.init.normal_(weight, float("norm.weight" in name), 0.3)
    network.eval().save_pretrained(tmp_path)
    opened = OPENED[shape.architecture].from_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).model_type == at_home(choice)[0]
    ids = torch.randint(0, 49, (3, 11))
    there = torch.arange(11) < torch.tensor([11, 7, 2])[:, None]
    given = {"input_ids": ids.where(there, 49), "attention_mask": there.long()}
    if shape.architecture == "both":
        given["decoder_input_ids"] = torch.randint(0, 49, (3, 6))
    with torch.no_grad():
        ours, theirs = network(**given).logits, opened(**given).logits
        if shape.architecture == "decoder":
            ours, theirs = ours[there], theirs[there]
        assert (ours - theirs).abs().max() < 1e-5
        if shape.architecture == "both":
            assert opened.generation_config.bad_words_ids == [[49]]
            assert (from_library(opened)(**given).logits - ours).abs().max() < 1e-5


def test_as_many_shapes_are_tried_as_there_are():
    assert len(SAVED) == 22 and {at_home(choice)[0] for choice in SAVED} == {*HOMES.values()}

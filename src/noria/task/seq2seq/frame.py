"""What stands around the texts of an encoder-decoder: each family begins and ends them in its own way. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from noria.common.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def set_languages(tokenizer: PreTrainedTokenizerBase, source: str | None, target: str | None) -> None:
    """Tells a tokenizer of many languages, such as mBART's, which two it is to read and to write.

    Raises:
        UserError: it knows no languages, or not these.
    """
    for name, language in (("src_lang", source), ("tgt_lang", target)):
        if language is None:
            continue
        key = f"task.{'source' if name == 'src_lang' else 'target'}_lang"
        if not hasattr(tokenizer, name):
            raise UserError(
                f"{key}={language}: the tokenizer of this model knows no languages. Models that want them written "
                "before the text take task.prefix."
            )
        if language not in tokenizer.get_vocab():
            known = sorted(token for token in tokenizer.all_special_tokens if token not in NO_LANGUAGES)
            raise UserError(f"{key}={language} is no language of this model. {did_you_mean(language, known)}".rstrip())
        setattr(tokenizer, name, language)


NO_LANGUAGES = ("<s>", "</s>", "<unk>", "<pad>", "<mask>")


@contextmanager
def writes_targets(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """In which a tokenizer puts around texts what stands around targets."""
    known: Any = tokenizer
    turn = getattr(known, "_switch_to_target_mode", None)
    if turn is not None:
        turn()
    try:
        yield
    finally:
        if turn is not None:
            known._switch_to_input_mode()


def around_targets(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The tokens before and after the text of every target."""
    with writes_targets(tokenizer):
        ids = list(tokenizer("")["input_ids"])
    place = ids.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in ids else len(ids)
    return ids[:place], ids[place:]

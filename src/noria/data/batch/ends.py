"""What the writer of a text may not say: padding, and where a row ends. Knows no labels and no batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Ends:
    """The tokens by which heads find where a row ends: padding, and the end of sequence. In a text they are words of
    its writer: T5's head fails where a row has two ends, and Llama's looks at what stands before the last of them.

    Args:
        pairs: whether rows are pairs.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pairs: bool) -> None:
        self._tokenizer: Any = tokenizer
        self._unknown: int | None = self._tokenizer.unk_token_id
        ids = {self._tokenizer.pad_token_id, self._tokenizer.eos_token_id} - {None, self._unknown}
        self._ids = ids
        self._added = self._count(self._tokenizer([""], [""] if pairs else None)["input_ids"][0])

    def read_as_text(self, made: Any, firsts: list[str], seconds: list[str] | None, given: dict[str, Any]) -> list[int]:
        """Tokenises, in place, those rows again that have more of these tokens than the tokenizer adds.

        Returns:
            Their numbers.
        """
        rows = [row for row, ids in enumerate(made["input_ids"]) if self._count(ids) > self._added]
        for row in rows:
            pair = None if seconds is None else [seconds[row]]
            again = self._tokenizer([firsts[row]], pair, split_special_tokens=True, **given)
            encoding = again.encodings[0]
            # a vocabulary of SentencePiece holds their names as pieces, too
            found = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
            made["input_ids"][row] = [number if added else self._text(number) for number, added in found]
            if "token_type_ids" in made:
                made["token_type_ids"][row] = again["token_type_ids"][0]
            made.encodings[row] = encoding
        return rows

    def _count(self, ids: list[int]) -> int:
        return sum(map(self._ids.__contains__, ids))

    def _text(self, number: int) -> int:
        return self._unknown if self._unknown is not None and number in self._ids else number

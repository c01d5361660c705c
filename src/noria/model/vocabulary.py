"""A tokenizer that is trained on the texts a model will learn from. Knows no network."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Gt
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from noria.common.errors import UserError
from noria.common.paths import cache_dir

log = logging.getLogger(__name__)

FORMAT = 1
END, UNKNOWN, BEGIN, PAD = "</s>", "<unk>", "<s>", "<pad>"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPACE = "▁"  # what stands for a blank in a token


class Vocabulary:
    """How a tokenizer is trained: one vocabulary for all texts, of both languages where there are two.

    Texts are cut at blanks and around punctuation, and each piece into the tokens that training has found. A character
    that no training text held becomes the bytes of its UTF-8 form, so nothing is lost, and decoding gives every text
    back as it was, but for its Unicode form (NFC), runs of blanks, and the sign ▁, which becomes a blank.

    The tokens are `</s>`, `<unk>`, `<s>`, 256 bytes, those that were found, and last `<pad>`.

    Args:
        kind: `bpe` joins the most frequent pair of tokens again and again (Sennrich et al. 2016); `unigram` keeps those
            tokens under which the texts are likeliest (Kudo 2018). Trained again it has the same tokens, with scores
            that differ in the fourth place: what is in the cache stays as it is.
        size: tokens in all, with the 260 that every vocabulary has.
        lowercase: texts lose their capitals, and so do answers.
    """

    def __init__(
        self, *, kind: Literal["bpe", "unigram"] = "bpe", size: Annotated[int, Gt(300)] = 8000, lowercase: bool = False
    ) -> None:
        self.kind, self.size, self.lowercase = kind, size, lowercase

    def trained(self, texts: Iterable[str], frame: tuple[str, str | None] = (f"$A {END}", None)) -> Any:
        """The tokenizer, from the cache folder where the same texts have been learnt before.

        Args:
            frame: what stands around a text, and around a pair of texts, as `tokenizers` writes templates.

        Raises:
            UserError: the texts hold nothing to learn from.
        """
        texts = list(texts)
        path = cache_dir() / "tokenizers" / f"{self._key(texts)}.json"
        backend = _read(path)
        if backend is None:
            backend = self._train(texts)
            _write(path, backend)
        single, pair = frame
        backend.post_processor = processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=[(token, backend.token_to_id(token)) for token in (END, BEGIN)]
        )
        made = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=END, unk_token=UNKNOWN, pad_token=PAD)
        if BEGIN in single:
            made.bos_token = BEGIN
        made.clean_up_tokenization_spaces = False
        made.model_input_names = ["input_ids", "attention_mask"]
        return made

    def _key(self, texts: list[str]) -> str:
        own = json.dumps([FORMAT, self.kind, self.size, self.lowercase])
        found = hashlib.sha256(own.encode())
        for text in texts:
            raw = text.encode("utf-8", "surrogatepass")
            found.update(len(raw).to_bytes(8, "little") + raw)
        return found.hexdigest()

    def _train(self, texts: list[str]) -> Tokenizer:
        learner = Tokenizer(models.BPE() if self.kind == "bpe" else models.Unigram())
        forms = [normalizers.NFC(), *([normalizers.Lowercase()] if self.lowercase else [])]
        forms += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
        learner.normalizer = normalizers.Sequence(forms)
        learner.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(SPACE, prepend_scheme="first"), pre_tokenizers.Punctuation("isolated")]
        )
        special = [END, UNKNOWN, BEGIN]
        room = self.size - len(special) - len(BYTES) - 1 + (self.kind == "unigram")  # which counts the unknown
        most: dict[str, Any] = {"vocab_size": room, "show_progress": False}
        trainer: Any = (
            trainers.BpeTrainer(limit_alphabet=max(room // 2, 1), **most)
            if self.kind == "bpe"
            else trainers.UnigramTrainer(unk_token=UNKNOWN, special_tokens=[UNKNOWN], **most)
        )
        learner.train_from_iterator(texts, trainer, length=len(texts))
        state = json.loads(learner.to_str())
        found = state["model"]["vocab"]
        # the order in which the library gives a unigram model's tokens is another each time
        names = sorted(name for name, _ in found) if self.kind == "unigram" else sorted(found, key=found.get)
        names = [name for name in names if name not in (*special, *BYTES, PAD)]
        if not names:
            raise UserError("The texts hold nothing that a tokenizer could be trained on.")
        whole = [*special, *BYTES, *names, PAD]
        if self.kind == "bpe":
            merges = [tuple(pair) for pair in state["model"]["merges"]]
            vocabulary = {name: number for number, name in enumerate(whole)}
            learner.model = models.BPE(vocab=vocabulary, merges=merges, unk_token=UNKNOWN, byte_fallback=True)
        else:
            scores = dict(found)
            least = min(scores.values()) - 10.0  # a byte is taken where nothing else is there
            pieces = [(name, scores.get(name, least)) for name in whole]
            learner.model = models.Unigram(pieces, unk_id=whole.index(UNKNOWN), byte_fallback=True)
        learner.decoder = decoders.Sequence(
            [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        learner.add_special_tokens([*special, PAD])
        return learner


def _read(path: Path) -> Tokenizer | None:
    if not path.is_file():
        return None
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain exceptions
        log.warning("The cached tokenizer %s is unreadable and is trained again: %s", path, error)
        return None


def _write(path: Path, backend: Tokenizer) -> None:
    """Beside its place and then renamed, so that a reader sees a whole file or none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.stem[:16]}-", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(backend.to_str())
        os.replace(temporary, path)
    except OSError as error:
        log.warning("The tokenizer is not kept, %s cannot be written: %s", path.parent, error)

"""Questions and passages in SQuAD's format (v1 and v2): each answer is a span of its passage. Knows no tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from noria.common.errors import UserError
from noria.data.rows.mapped import gather_rows
from noria.data.rows.rows import NO_TEXT, Rows
from noria.data.rows.split import GROUP
from noria.data.source.files import read_rows
from noria.data.source.json_files import JSON, read_records
from noria.data.source.opening import ending, find

ANSWERS = "answers"  # the column of answers
SPAN = pa.struct([("text", pa.string()), ("start", pa.int32())])
TEXTS = [(name, pa.string()) for name in ("id", "text", "text_pair", GROUP)]
SCHEMA = pa.schema([*TEXTS, (ANSWERS, pa.list_(SPAN))])
COLUMNS = ("context", "question", "answers")  # of a table of such questions
MOVED, NOT_THERE = "answer_moved", "answer_not_in_its_passage"


def read_squad(path: str | Path) -> Rows:
    """The questions of a file: `text` is the passage, `text_pair` the question, `group` the title of its article (the
    passage where it has none), and `answers` its spans, each with its place in characters.

    The file is in SQuAD's own format, or a table (JSON, Parquet) with the columns `context`, `question` and `answers`,
    each a `{text: […], answer_start: […]}` as the Hub has it, and maybe `title`.

    A question without answers, as v2 has them, is kept: that there is none is the answer. An answer that does not stand
    where the file says is moved to the nearest place where it does. A question of which no answer stands anywhere in
    its passage, and one whose passage or question is blank, is left out. Both are counted.

    Raises:
        UserError: the file cannot be read, is in another format, or no question is left.
    """
    counts = {NO_TEXT: 0, NOT_THERE: 0, MOVED: 0}
    name = Path(path).name

    def kept() -> Iterator[tuple[str, str, str, str, list[dict[str, Any]]]]:
        questions = _questions(path) if _nested(path) else _of_table(path)
        for number, (where, title, passage, question) in enumerate(questions, 1):
            asked = _text(question, "question", where)
            if not passage.strip() or not asked.strip():
                counts[NO_TEXT] += 1
                continue
            said = _answers(question, where)
            found = [_placed(passage, text, start) for text, start in said]
            there = [{"text": text, "start": place} for (text, _), place in zip(said, found, strict=True) if place >= 0]
            if said and not there:
                counts[NOT_THERE] += 1
                continue
            counts[MOVED] += sum(0 <= place != start for (_, start), place in zip(said, found, strict=True))
            yield f"{name}:{number}", passage, asked, title or passage, there

    table = gather_rows(SCHEMA, kept())
    dropped = {reason: count for reason, count in counts.items() if count}
    if not len(table):
        told = ", ".join(f"{reason.replace('_', ' ')}: {count}" for reason, count in dropped.items())
        raise UserError(f"'{path}' holds no question" + (f": every one was left out ({told})." if told else "."))
    return Rows(table, str(path), dropped)


def _nested(path: str | Path) -> bool:
    """Whether a file is in SQuAD's own format: articles with paragraphs."""
    if ending(find(path)) not in JSON:
        return False
    first = read_records(path, ("paragraphs",)).objects[0]
    return "paragraphs" in first or not {*first} & {*COLUMNS}


def _of_table(path: str | Path) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """The same of a table, whose lists of texts and places become answers."""
    for where, row in read_rows(path, COLUMNS):
        answers = row.get("answers")
        texts, starts = (
            (answers.get(name) for name in ("text", "answer_start")) if isinstance(answers, dict) else (0, 0)
        )
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            raise UserError(
                f"{where}: 'answers' is {answers!r:.60}, but must be an object with two lists of one length: "
                '{"text": ["…"], "answer_start": [0]}.'
            )
        both = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
        title = row.get("title")
        yield where, title if isinstance(title, str) else "", _text(row, "context", where), {**row, "answers": both}


def _questions(path: str | Path) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Where each question stands, the title of its article, its passage, and the question itself."""
    for topic, article in enumerate(read_records(path, ("paragraphs",)).objects, 1):
        where, title = f"'{path}', article {topic}", article.get("title")
        for part, paragraph in enumerate(_list(article, "paragraphs", where), 1):
            here = f"{where}, paragraph {part}"
            passage = _text(paragraph, "context", here)
            for number, question in enumerate(_list(paragraph, "qas", here), 1):
                yield f"{here}, question {number}", title if isinstance(title, str) else "", passage, question


def _answers(question: dict[str, Any], where: str) -> list[tuple[str, int]]:
    """Each different answer with its place; none where the file says that there is none."""
    if question.get("is_impossible") is True:
        return []
    found: list[tuple[str, int]] = []
    for answer in _list(question, "answers", where):
        start = answer.get("answer_start")
        if not isinstance(start, int):
            raise UserError(f"{where}: 'answer_start' is {start!r:.40}, but must be a whole number.")
        if (text := _text(answer, "text", where)).strip() and (text, start) not in found:
            found.append((text, start))
    return found


def _placed(passage: str, text: str, start: int) -> int:
    """Where an answer stands: where it is said to, or the nearest place; -1: nowhere."""
    if start >= 0 and passage.startswith(text, start):
        return start
    before, after = passage.rfind(text, 0, max(start, 0) + len(text)), passage.find(text, max(start, 0))
    return min((place for place in (before, after) if place >= 0), key=lambda place: abs(place - start), default=-1)


def _list(row: dict[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    value = row.get(name)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UserError(
            f"{where}: '{name}' is {value!r:.40}, but must be a list of objects, as SQuAD's format has it (data, "
            "paragraphs, context, qas, question, answers)."
        )
    return value


def _text(row: dict[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise UserError(f"{where}: '{name}' is {value!r:.40}, but must be a text.")
    return value

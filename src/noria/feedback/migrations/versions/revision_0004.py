"""Requests, answers and corrections are JSON, beside the form that understands them: not every answer is a label."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from noria.feedback.json_type import Json

revision = "0004"
down_revision: str | None = "0003"

FORM = "noria.task.text_classification.form.TextClassificationForm"  # there was no other
MANY = 1000  # rows at a time

predictions = sa.table(
    "predictions",
    *(sa.column(name, sa.Text) for name in ("id", "text", "text_pair", "label", "form")),
    sa.column("probabilities", sa.JSON),
    *(sa.column(name, Json()) for name in ("request", "answer")),
)
feedback = sa.table(
    "feedback",
    *(sa.column(name, sa.Text) for name in ("prediction_id", "client", "label")),
    sa.column("correct", sa.Boolean),
    sa.column("correction", Json()),
)


def upgrade() -> None:
    # The table is not made anew, which would take all feedback with it: so what may not be empty has a default.
    op.add_column("predictions", sa.Column("form", sa.Text, nullable=False, server_default=FORM))
    op.add_column("predictions", sa.Column("request", Json()))
    op.add_column("predictions", sa.Column("answer", Json(), nullable=False, server_default="{}"))
    op.add_column("feedback", sa.Column("correction", Json()))
    asked = [predictions.c[name] for name in ("id", "text", "text_pair", "label", "probabilities")]
    for rows in _in_parts(sa.select(*asked).order_by(predictions.c.id), predictions.c.id):
        _fill(predictions, ("id",), [_answered(row) for row in rows])
    said = [feedback.c[name] for name in ("prediction_id", "client", "label")]
    query = sa.select(*said, predictions.c.label.label("predicted"), predictions.c.probabilities)
    query = query.join(predictions, predictions.c.id == feedback.c.prediction_id).where(sa.not_(feedback.c.correct))
    query = query.where(feedback.c.label.is_not(None)).order_by(feedback.c.prediction_id, feedback.c.client)
    for rows in _in_parts(query, feedback.c.prediction_id, feedback.c.client):
        keys = [{"prediction_id": row.prediction_id, "client": row.client} for row in rows]
        values = [{"correction": _value(row.label, row.predicted, row.probabilities)} for row in rows]
        _fill(feedback, ("prediction_id", "client"), [a | b for a, b in zip(keys, values, strict=True)])
    for name in ("text", "text_pair", "label", "probabilities"):
        op.drop_column("predictions", name)
    op.drop_column("feedback", "label")


def downgrade() -> None:
    others = sa.select(predictions.c.id).where(predictions.c.form != FORM)  # the step before has no place for them
    op.execute(feedback.delete().where(feedback.c.prediction_id.in_(others)))
    op.execute(predictions.delete().where(predictions.c.form != FORM))
    for name in ("text", "text_pair"):
        op.add_column("predictions", sa.Column(name, sa.Text))
    op.add_column("predictions", sa.Column("label", sa.Text, nullable=False, server_default=""))
    op.add_column("predictions", sa.Column("probabilities", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("feedback", sa.Column("label", sa.Text))
    asked = sa.select(predictions.c.id, predictions.c.request, predictions.c.answer).order_by(predictions.c.id)
    for rows in _in_parts(asked, predictions.c.id):
        _fill(predictions, ("id",), [_labelled(row) for row in rows])
    said = [feedback.c[name] for name in ("prediction_id", "client", "correct", "correction")]
    query = sa.select(*said, predictions.c.answer).join(predictions, predictions.c.id == feedback.c.prediction_id)
    query = query.order_by(feedback.c.prediction_id, feedback.c.client)
    for rows in _in_parts(query, feedback.c.prediction_id, feedback.c.client):
        keys = [{"prediction_id": row.prediction_id, "client": row.client} for row in rows]
        labels = [{"label": _text(row.answer["label"] if row.correct else row.correction)} for row in rows]
        _fill(feedback, ("prediction_id", "client"), [a | b for a, b in zip(keys, labels, strict=True)])
    for name in ("form", "request", "answer"):
        op.drop_column("predictions", name)
    op.drop_column("feedback", "correction")


def _answered(row: Any) -> dict[str, Any]:
    texts = {"text": row.text} if row.text_pair is None else {"text": row.text, "text_pair": row.text_pair}
    label = _value(row.label, row.label, row.probabilities)
    answer = {"label": label, "probabilities": row.probabilities}
    return {"id": row.id, "request": None if row.text is None else texts, "answer": answer}


def _labelled(row: Any) -> dict[str, Any]:
    request, answer = row.request or {}, row.answer
    texts = {name: request.get(name) for name in ("text", "text_pair")}
    return {"id": row.id, **texts, "label": _text(answer["label"]), "probabilities": answer["probabilities"]}


def _value(label: str, predicted: str, probabilities: dict[str, float]) -> Any:
    """A label that stood there as text. Of a model that gives one name it is that; else it was JSON."""
    if predicted in probabilities:
        return label
    try:
        return json.loads(label)
    except ValueError:
        return label


def _text(label: Any) -> str | None:
    return label if label is None or isinstance(label, str) else json.dumps(label, ensure_ascii=False)


def _in_parts(query: sa.Select[Any], *key: sa.ColumnClause[Any]) -> Iterator[list[Any]]:
    """The rows of a query that is ordered by a key, some at a time: what is changed meanwhile stays out of it."""
    connection, after = op.get_bind(), None
    while True:
        part = query if after is None else query.where(sa.tuple_(*key) > sa.tuple_(*map(sa.literal, after)))
        rows = list(connection.execute(part.limit(MANY)))
        if not rows:
            return
        yield rows
        after = [getattr(rows[-1], column.name) for column in key]


def _fill(table: sa.TableClause, keys: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    names = [name for name in rows[0] if name not in keys]
    same = [table.c[name] == sa.bindparam(f"_{name}") for name in keys]
    statement = (
        table.update()
        .where(*same)
        .values({name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names})
    )
    values = [{f"_{name}": row[name] for name in keys} | {f"new_{name}": row[name] for name in names} for row in rows]
    op.get_bind().execute(statement, values)

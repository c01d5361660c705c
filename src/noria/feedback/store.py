"""The store of predictions and feedback, in SQLite or PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, select
from sqlalchemy.exc import IntegrityError

from noria.common.errors import UserError
from noria.feedback import tables
from noria.feedback.database import Database
from noria.feedback.records import Correction, Prediction, Preference, StoreDown, UnknownPrediction
from noria.feedback.rows import (
    Scrub,
    aware,
    clean,
    correction_json,
    now,
    prediction_row,
    preference_row,
    to_correction,
    to_prediction,
    to_preference,
)
from noria.feedback.scrub import personal
from noria.feedback.text import short, storable

__all__ = ["Correction", "Prediction", "Preference", "Store", "StoreDown", "UnknownPrediction"]


class Store:
    """Predictions, feedback and preferences. Safe for many threads, and for many processes on one database.

    What a method has returned from is on the disk. What a database cannot hold in a text (NUL, half a surrogate pair)
    is replaced by U+FFFD. Every method raises StoreDown where the database does not answer or cannot write.

    Args:
        url: such as `sqlite:///feedback.db` or `postgresql://user:password@host/database`.
        keep_texts: False stores predictions without their texts, and refuses preferences.
        scrub: finds what is masked in a text before it is stored, or gives None for one that must not be kept: its
            prediction is stored without it. Without `scrub` texts are stored as they are.

    Raises:
        UserError: the URL is wrong; or the database cannot be reached, is none, or is of a newer version of Noria.
    """

    def __init__(self, url: str, *, keep_texts: bool = True, scrub: Scrub | None = personal) -> None:
        self._database = Database(url)
        self._keep_texts, self._scrub = keep_texts, scrub

    def add_predictions(self, predictions: Sequence[Prediction]) -> None:
        """Adds all of them or none; one whose id is there already is left as it was.

        Raises:
            UserError: a name is empty or too long, a number is not finite, or `created` has no time zone.
        """
        rows = [prediction_row(prediction, self._keep_texts, self._scrub) for prediction in predictions]
        if rows:
            with self._database.write() as connection:
                self._database.add(connection, tables.predictions, rows)

    @property
    def keeps_texts(self) -> bool:
        """Whether the texts of users are kept at all."""
        return self._keep_texts

    def cleaned(self, text: str) -> str | None:
        """A text as it is kept; None where it cannot be."""
        return clean(text, self._scrub)

    def prediction(self, prediction_id: str) -> Prediction:
        """One prediction.

        Raises:
            UnknownPrediction: the store has no such prediction.
        """
        table = tables.predictions
        with self._database.read() as connection:
            row = connection.execute(select(table).where(table.c.id == storable(prediction_id))).first()
        if row is None:
            raise UnknownPrediction(f"There is no prediction {prediction_id[:80]!r}.")
        return to_prediction(row)

    def add_feedback(self, prediction_id: str, client: str, *, correct: bool, correction: Any = None) -> bool:
        """Adds what a client says of a prediction. When a client says something else later, that counts instead.

        Args:
            correction: what the answer should have been, as JSON; None where it was right, or where the client does
                not say.

        Returns:
            False if this client's word was the very same already (it then counts as said now), True otherwise.

        Raises:
            UnknownPrediction: the store has no such prediction.
            UserError: there is a correction of what is correct, or it is empty or too long.
        """
        if correct and correction is not None:
            raise UserError("An answer that is correct has no correction.")
        made = {"prediction_id": storable(prediction_id), "client": short("client", client), "created": now()}
        word = {"correction": correction_json(correction), "correct": correct}
        with self._database.write() as connection:
            try:
                return self._database.say(connection, tables.feedback, {**made, **word}, list(word))
            except IntegrityError:
                raise UnknownPrediction(f"There is no prediction {prediction_id[:80]!r}.") from None

    def add_preference(self, prompt: str, chosen: str, rejected: str, client: str) -> bool:
        """Adds that a client likes one answer to a prompt better. Of the same two answers the newest word counts.

        Returns:
            False if this client's word was the very same already, True otherwise.

        Raises:
            UserError: the answers are the same, or this store keeps no texts.
        """
        if not self._keep_texts:
            raise UserError("This store keeps no texts, and a preference is nothing without them.")
        row = preference_row(prompt, chosen, rejected, client, self._scrub)
        with self._database.write() as connection:
            return self._database.say(connection, tables.preferences, row, ["chosen", "rejected"])

    def predictions(
        self, *, since: datetime | None = None, version: str | None = None, limit: int | None = None
    ) -> Iterator[Prediction]:
        """Predictions, the oldest first, streamed.

        Args:
            since: those made then or later; aware.
            version: those of this model version.
            limit: so many at most.
        """
        table = tables.predictions
        query = _since(select(table), table, since).order_by(table.c.created, table.c.id)
        if version is not None:
            query = query.where(table.c.version == storable(version))
        if limit is not None:
            query = query.limit(max(limit, 0))
        return map(to_prediction, self._database.stream(query))

    def corrections(self, *, since: datetime | None = None) -> Iterator[Correction]:
        """Feedback with its predictions, the oldest feedback first, streamed.

        Args:
            since: what was said then or later; aware.
        """
        table = tables.feedback
        said = (table.c.client, table.c.correction, table.c.correct, table.c.created)
        query = select(*tables.predictions.c, *said).join(tables.predictions)
        query = _since(query, table, since).order_by(table.c.created, table.c.prediction_id, table.c.client)
        return map(to_correction, self._database.stream(query))

    def preferences(self, *, since: datetime | None = None) -> Iterator[Preference]:
        """Preferences, the oldest first, streamed; `since` as in `corrections`."""
        table = tables.preferences
        query = _since(select(table), table, since).order_by(table.c.created, table.c.id)
        return map(to_preference, self._database.stream(query))

    def counts(self) -> dict[str, int]:
        """How many `predictions`, `feedback` and `preferences` there are."""
        with self._database.read() as connection:
            return {
                table.name: connection.scalar(select(func.count()).select_from(table)) or 0
                for table in (tables.predictions, tables.feedback, tables.preferences)
            }

    def delete(self, prediction_id: str) -> bool:
        """Deletes a prediction with all feedback about it; False if there is none."""
        table = tables.predictions
        found = self._database.erase({"it": delete(table).where(table.c.id == storable(prediction_id))})
        return found["it"] > 0

    def delete_client(self, client: str) -> int:
        """Deletes what a client asked, with all feedback about it, and what it said.

        Returns:
            How many predictions, feedback and preferences of this client there were.
        """
        # What it said comes first: the rest of the feedback goes with the predictions and is not the client's.
        every = (tables.feedback, tables.preferences, tables.predictions)
        return sum(
            self._database.erase({t.name: delete(t).where(t.c.client == storable(client)) for t in every}).values()
        )

    def retain(self, days: float) -> int:
        """Deletes predictions, with their feedback, and preferences that are older than so many days.

        Returns:
            How many predictions that were.

        Raises:
            UserError: `days` is negative or no number.
        """
        if not (days >= 0 and math.isfinite(days)):
            raise UserError(f"Retention is a number of days from 0 on, not {days}.")
        try:
            oldest = now() - timedelta(days=days)
        except OverflowError:  # before the year 1
            return 0
        every = (tables.predictions, tables.preferences)
        return self._database.erase({t.name: delete(t).where(t.c.created < oldest) for t in every})["predictions"]

    def close(self) -> None:
        """Closes all connections."""
        self._database.close()


def _since(query: Select[*tuple[Any, ...]], table: Any, since: datetime | None) -> Select[*tuple[Any, ...]]:
    return query if since is None else query.where(table.c.created >= aware("since", since))

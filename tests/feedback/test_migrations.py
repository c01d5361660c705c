"""The migrations make exactly the tables that the code expects, once, and never those of a newer version."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from noria.common.errors import UserError
from noria.feedback.engine import connect, parse, writing
from noria.feedback.migrate import VERSION_TABLE, _config
from noria.feedback.store import Prediction, Store
from noria.feedback.tables import metadata

Make = Callable[..., Prediction]


def test_models_and_migrations_agree(store: Store) -> None:
    with store._database.engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        [key] = inspect(connection).get_foreign_keys("feedback")
        assert key["options"]["ondelete"] == "CASCADE"


def test_an_open_store_can_be_opened_again(store: Store, url: str, prediction: Make) -> None:
    store.add_predictions([prediction()])
    again = Store(url)
    assert again.counts()["predictions"] == 1
    again.close()


def test_a_newer_store_is_left_alone(store: Store, url: str) -> None:
    with store._database.write() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(UserError, match=r"schema 9999.*newer"):
        Store(url)


def test_every_step_can_be_taken_back(url: str) -> None:
    Store(url).close()
    engine = connect(parse(url))
    with writing(engine).begin() as connection:
        config, _ = _config(connection)
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == [VERSION_TABLE]
    engine.dispose()
    store = Store(url)
    assert store.counts()["predictions"] == 0
    store.close()


def test_a_step_that_fails_changes_nothing(url: str) -> None:
    """Somebody else's table of the same name is in the way."""
    engine = connect(parse(url))
    with writing(engine).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE preferences (theirs TEXT)")
    with pytest.raises(UserError, match=r"cannot be opened: .*preferences.* already exists"):
        Store(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["preferences"]
    engine.dispose()

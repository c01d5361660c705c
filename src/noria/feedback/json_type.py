"""JSON values in a database: as JSONB in PostgreSQL, which compares no values of its plain JSON type; else as text.

A column that SQLite calls JSON would take a text such as 4.0 for a number and give back 4.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Dialect, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine


class Json(TypeDecorator[Any]):
    """Any JSON value; None is no value, and not JSON's null."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(JSONB(none_as_null=True) if _has_jsonb(dialect) else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value if value is None or _has_jsonb(dialect) else json.dumps(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return value if value is None or _has_jsonb(dialect) else json.loads(value)


def _has_jsonb(dialect: Dialect) -> bool:
    return dialect.name == "postgresql"

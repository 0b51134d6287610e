"""Column types of the inventory's hot tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Integer
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# SQLite gives a row number by itself only to a column declared INTEGER
RowNumber = BigInteger().with_variant(Integer, "sqlite")


def to_micros(instant: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the instant of `to_micros`, exactly."""
    return _EPOCH + micros * _MICROSECOND


class Micros(TypeDecorator[datetime]):
    """A UTC instant as microseconds since 1970 in 8 bytes: a third of `store.Instant`'s text."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else from_micros(value)

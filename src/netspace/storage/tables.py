"""The tables of a store, in SQLAlchemy Core; `SCHEMA_VERSION` rises with every change to them."""

import json
from typing import Any

import sqlalchemy as sa

from netspace.networks.complexity import MEASURES

SCHEMA_VERSION = 2


class Json(sa.TypeDecorator[Any]):
    """Plain data as JSON in a text, which any database keeps as it is: PostgreSQL's own type refuses a loss of NaN."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str:
        """Return the text of plain data."""
        return json.dumps(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """Return the plain data of a text; None where an outer join found none."""
        return None if value is None else json.loads(value)


SCHEMA = sa.MetaData()
FACTS = sa.Table(
    "facts",
    SCHEMA,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)
SAMPLES = sa.Table(
    "samples",
    SCHEMA,
    sa.Column("space", sa.String, primary_key=True),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("definition", Json, nullable=False),
    sa.Column("num_draws", sa.BigInteger, nullable=False),
    sa.Column("num_in_band", sa.BigInteger, nullable=False),
)
NETWORKS = sa.Table(
    "networks",
    SCHEMA,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("spec", Json, nullable=False),
    *(sa.Column(measure, sa.BigInteger, nullable=False) for measure in MEASURES),
)
MEMBERS = sa.Table(
    "members",
    SCHEMA,
    sa.Column("space", sa.ForeignKey("samples.space"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("draw", sa.BigInteger, nullable=False),
    sa.Column("drawn", Json, nullable=False),
    sa.Column("network", sa.ForeignKey("networks.digest"), nullable=False),
    sa.Column("trial", sa.String, nullable=False, index=True),
)
ATTEMPTS = sa.Table(
    "attempts",
    SCHEMA,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("trial", sa.String, nullable=False, index=True),
    sa.Column("outcome", sa.String, nullable=False),
    sa.Column("error", sa.Float),
    sa.Column("reason", sa.String),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("ended", sa.String, nullable=False),
    sa.Column("versions", Json, nullable=False),
)
RESULTS = sa.Table(
    "results",
    SCHEMA,
    sa.Column("trial", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("error", sa.Float),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("images", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String),
    sa.Column("curve", Json, nullable=False),
)

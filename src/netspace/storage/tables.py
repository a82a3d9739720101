"""The tables of a store, in SQLAlchemy Core; `SCHEMA_VERSION` rises with every change to them."""

import sqlalchemy as sa

from netspace.networks.complexity import MEASURES

SCHEMA_VERSION = 1

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
    sa.Column("definition", sa.JSON, nullable=False),
    sa.Column("num_draws", sa.BigInteger, nullable=False),
    sa.Column("num_in_band", sa.BigInteger, nullable=False),
)
NETWORKS = sa.Table(
    "networks",
    SCHEMA,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("spec", sa.JSON, nullable=False),
    *(sa.Column(measure, sa.BigInteger, nullable=False) for measure in MEASURES),
)
MEMBERS = sa.Table(
    "members",
    SCHEMA,
    sa.Column("space", sa.ForeignKey("samples.space"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("draw", sa.BigInteger, nullable=False),
    sa.Column("drawn", sa.JSON, nullable=False),
    sa.Column("network", sa.ForeignKey("networks.digest"), nullable=False),
    sa.Column("trial", sa.String, nullable=False, index=True),
)
ATTEMPTS = sa.Table(
    "attempts",
    SCHEMA,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("trial", sa.String, nullable=False, index=True),
    sa.Column("outcome", sa.String, nullable=False),
    sa.Column("reason", sa.String),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("ended", sa.String, nullable=False),
    sa.Column("versions", sa.JSON, nullable=False),
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
    sa.Column("curve", sa.JSON, nullable=False),
)

"""The tables. Times are seconds since 1970 by the database's clock; ids are random, `number` and `seq` are ordered.

counter   one row; whoever takes numbers from it holds it until the commit, so numbers become visible in order
dataset   a file of rows and what the check said of it; the file of version N lies in datasets/ID/vN
job       something being done; `state` is written by its owner, `desired` by people; `epoch` is the fencing token
event     what happened, for the live stream; a job's own events mirror events.jsonl of its attempt
chat      a conversation with a base or an adapter, its turns as a list
"""

from sqlalchemy import JSON, BigInteger, Column, Double, ForeignKey, Index, Integer, MetaData, String, Table, Text, text

REVISION = "0002"  # the newest migration, without which this code does not run

# In these words in the indexes and in the queries that use them: the planners compare the text. There is no index of
# the whole state: with one, SQLite sorts all that wait to find the first of them.
IS_WAITING = "state IN ('queued', 'waiting_retry')"
IS_ACTIVE = "state IN ('starting', 'running')"

metadata = MetaData()

counter = Table("counter", metadata, Column("value", BigInteger, nullable=False))

dataset = Table(
    "dataset",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("version", Integer, nullable=False),
    Column("file", Text, nullable=False),  # below datasets/ID/vN, server-made
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("problems", Integer, nullable=False),
    Column("mapping", JSON, nullable=False),  # what people said of its columns
    Column("report", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("number", BigInteger, nullable=False),  # the order of the queue
    Column("kind", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    Column("dataset_id", String(32)),
    Column("spec", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("desired", String(16), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", Text),
    Column("lease_until", Double, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("step", Integer, nullable=False),
    Column("total_steps", Integer),
    Column("checkpoint_step", Integer, nullable=False),
    Column("error", JSON(none_as_null=True)),
    Column("result", JSON(none_as_null=True)),
    Column("idempotency_key", String(200), unique=True),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Index("job_queue", "number", sqlite_where=text(IS_WAITING), postgresql_where=text(IS_WAITING)),
    Index("job_active", "owner", sqlite_where=text(IS_ACTIVE), postgresql_where=text(IS_ACTIVE)),
)

event = Table(
    "event",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", String(32), ForeignKey("job.id", ondelete="CASCADE")),
    Column("kind", String(16), nullable=False),
    Column("step", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index("event_of_job", "job_id", "kind", "seq"),
)

chat = Table(
    "chat",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("model", Text, nullable=False),
    Column("job_id", String(32), ForeignKey("job.id", ondelete="SET NULL")),
    Column("system", Text, nullable=False),
    Column("turns", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

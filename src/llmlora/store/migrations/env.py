"""Alembic's entry: migrations run in the transaction that `Database` opened."""

from alembic import context

from llmlora.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

"""Alembic's entry: applies the versions beside this file to the configured database."""

from alembic import context
from sqlalchemy import create_engine

from ledger.tables import metadata


def run() -> None:
    """Apply the migrations over one connection, each in a transaction."""
    engine = create_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=True,
            user_module_prefix="tables.",
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()

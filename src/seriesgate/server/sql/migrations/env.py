"""Alembic's entry point: runs the migrations in the transaction that `schema.upgrade` began."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
)
context.run_migrations()

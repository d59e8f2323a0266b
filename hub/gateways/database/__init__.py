"""The database: its engine and transactions, schema revisions, and waiting for it."""

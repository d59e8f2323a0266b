"""Database access: engine and transactions, schema migrations, and waiting for availability."""

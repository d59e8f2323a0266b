"""What the dashboard's pages ask of the tables: bounded, by key, each served by an index."""

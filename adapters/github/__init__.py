"""GitHub: events of a repository or an organisation."""

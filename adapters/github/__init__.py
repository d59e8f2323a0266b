"""GitHub: whatever happens in a repository or an organisation."""

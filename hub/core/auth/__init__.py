"""Who may do what in the dashboard: accounts, sessions, roles, and what they may see."""

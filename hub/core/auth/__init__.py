"""Authentication: users, sessions, roles, second factors and the sign-in throttle."""

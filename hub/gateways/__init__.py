"""Gateways: the hub's input and output to the database, Redis, HTTP, cryptography and logs."""

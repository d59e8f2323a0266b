"""Adapter contract: interfaces, value types and helpers that all providers share.

Libraries besides the standard one: marshmallow, Werkzeug, cryptography and orjson.
"""

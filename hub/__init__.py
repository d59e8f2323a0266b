"""Webhook hub: verifies inbound webhooks and runs idempotent actions at other providers.

The layers, from the bottom up. A layer imports only layers below it; `tests/test_house.py` holds
the exact table:

- `adapters`: one folder for each provider, and the contract that they implement. An inbound
  adapter turns bytes into events; an outbound adapter turns parameters into one call.
- `hub.core`: the domain: ingest, the delivery ledger, replays, leads. Never commits, never reads
  the time or the environment.
- `hub.gateways`: input and output: the database, the Redis queue, guarded HTTP, cryptography, logs.
- `hub.config`: reads `hub.yaml` into `hub.core.configuration`.
- `hub.settings`: reads the environment variables.
- `hub.process`: signal handling, and the supervisor of `hub up` and `hub web`.
- `hub.web`, `hub.worker`, `hub.clock`: the three kinds of process. Thin: each opens and closes its
  own transactions.
- `hub.bootstrap`: builds the hub, without Flask. `hub.processes` starts the worker and the clock.
- `hub.app`: builds the Flask application. `hub.asgi` stands before it; `hub.server` runs both in
  the processes of `hub web`.
- `hub.cli`: the `hub` command, which starts the processes and operates the hub.
- `hub.__main__`: `python -m hub`. `wsgi.py`, beside this package: `gunicorn wsgi:app`.
"""

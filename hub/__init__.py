"""The hub: verified webhooks in, idempotent work out.

The floors, from the ground up; a floor imports only what stands below it:

- `adapters`: the providers. Bytes in, events out; parameters in, one call out.
- `hub.core`: what the hub does: ingest, the delivery ledger, replays, leads.
- `hub.gateways`: the ways out: database, queue, transport, embedded stores.
- `hub.web`, `hub.worker`, `hub.cli`: thin edges; each opens and closes its own transactions.
- `hub.bootstrap` and `hub.app`: put them together, without the web floor and with it. The only
  files that know every other.

`hub.settings` reads the environment, `hub.config` reads `hub.yaml`.
"""

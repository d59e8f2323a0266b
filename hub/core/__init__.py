"""Domain layer of the hub: it never commits, never reads the clock, and imports no web framework.

- `auth`: users, sessions, roles, second factors, sign-in throttle and redaction.
- `delivery`: the delivery ledger: lanes, claims, attempts, outcomes and their settlement.
- `events`: work on stored events: projections, enrichment, backfill, copies, re-matching.
- `explain`: errors, provider codes, events and rejections in plain words.
- `expressions`: conditions and templates, and the sandbox that they run in.
- `inbound`: a request up to the 2xx: verification, parsing, routing and storage.
- `leads`: spam scoring, assignment, escalation, acknowledgement and send limits.
- `models`: the tables of the database.
- `monitoring`: alerts, heartbeats, metrics and the health of each source.
- `queries`: the read side, for the dashboard and the command line.
- `replays`: bulk replays of deliveries: selection, preview, rate-limited release, status.
- `search`: full-text search of events.
"""

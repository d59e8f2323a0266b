"""What the hub does. It never commits, never asks what time it is, and knows no framework.

- `models`: the tables.
- `expressions`: conditions and templates.
- `inbound`: up to the 2xx. `events`: what is done with an event afterwards.
- `delivery`: the ledger, from what is due to an outcome that is known. `replays`: once more.
- `leads`: suspects, owners, escalation. `access`: accounts, and what they may see.
- `watch`: alerts, and silence. `board`: what the dashboard's pages ask.
"""

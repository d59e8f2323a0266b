"""Retention: deletes what is older than the section `retention` of hub.yaml allows, step by step.

- `schedule`: the kinds of rows, each with its span and the function that deletes a few of them.
- `walk`: position of a kind's walk through its table, and the size of its next step.
- `protection`: events that are never touched: unsettled deliveries, open alerts, undecided leads.
- `by_ids`: statements over a list of ids, which travel together.
- `events`: events with all that hangs on them. `requests`: bodies, rejected and orphaned requests.
- `held`: held leads, a week after people were told. `ledger`: keys, answers, finished replays.
- `operations`: alerts, sessions, tickets, the audit log, versions of hub.yaml.
- `words`: sentences for pages and commands where something is no longer kept.

Every function deletes up to `most` rows in the transaction that it is given, so that no lock lasts;
it finds them by their ids, which tell their time (UUIDv7). What is deleted depends on nothing but
the rows themselves: after a kill at any point the next step continues.
"""

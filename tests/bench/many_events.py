"""Events by the hundred thousand: a database filled by SQL with 400 days of them.

With the search words that the hub itself would write: `words` of the view `told`.
"""

import random
import time
from collections.abc import Sequence
from itertools import accumulate, product

import psycopg

from hub.core.models import EventState
from hub.core.search.indexer import PARTITION_DAYS
from hub.core.search.tokenizer import words_of

DAYS = 400
CHUNK = 250_000
# No page of these reads a request, so many events share one.
EVENTS_A_REQUEST = 20
EVENTS_A_PERSON = 20
SUBJECTS, SUBJECT_WORDS = 20_000, 8

# Source, type, native type, and the events of this kind per thousand.
KINDS = (
    ("stripe", "payment.succeeded", "payment_intent.succeeded", 220),
    ("stripe", "invoice.paid", "invoice.paid", 80),
    ("stripe", "checkout.completed", "checkout.session.completed", 60),
    ("stripe", "payment.failed", "payment_intent.payment_failed", 40),
    ("stripe", "payment.refunded", "charge.refunded", 10),
    ("stripe", "payment.disputed", "charge.dispute.created", 1),
    ("sendgrid", "email.delivered", "delivered", 240),
    ("sendgrid", "email.opened", "open", 140),
    ("sendgrid", "email.clicked", "click", 40),
    ("sendgrid", "email.bounced", "bounce", 9),
    ("twilio", "sms.delivered", "delivered", 80),
    ("twilio", "sms.received", "received", 30),
    ("contact", "lead.submitted", "form", 50),
)

STATES = {
    EventState.MATCHED: 0.90,
    EventState.UNMATCHED: 0.09,
    EventState.DISCARDED: 0.008,
    EventState.HELD: 0.001,
    EventState.INCOMPLETE: 0.001,
}

_SYLLABLES = ["".join(pair) for pair in product("bdfgklmnprstvz", "aeiou")]
_WORDS = ["".join(parts) for parts in product(_SYLLABLES, _SYLLABLES[::4], _SYLLABLES[::9])]
FIRST_NAMES, SURNAMES, VOCABULARY = _WORDS[:200], _WORDS[200:5200], _WORDS[5200:10200]

_IDS = """
CREATE FUNCTION pg_temp.ms_of(n bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS
    $$ SELECT {start_ms} + n * {span_ms} / {events} $$;
CREATE FUNCTION pg_temp.id_of(n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS
    $$ SELECT (lpad(to_hex(pg_temp.ms_of(n)), 12, '0') || '7' || substr(md5(n::text), 1, 3)
               || 'a' || substr(md5(n::text), 4, 15))::uuid $$;
"""
_DRAWN = f"""
CREATE TEMP TABLE kinds (n int, source text, type text, native_type text, has_money bool,
    words text[]);
CREATE TEMP TABLE people (n int, name text, email text, phone text, words text[]);
CREATE TEMP TABLE subjects (n int, subject text, words text[]);
CREATE TEMP TABLE drawn (n bigint, id uuid, at timestamptz, kind int, person int, subject int,
    luck float, live bool, amount int, external_id text);
CREATE TEMP VIEW told AS SELECT drawn.n, id, at, luck, live, source, type, native_type, has_money,
    external_id,
    jsonb_strip_nulls(jsonb_build_object('name', name, 'email', email, 'phone', phone,
        'subject', subjects.subject, 'amount', CASE WHEN has_money THEN amount END,
        'currency', CASE WHEN has_money THEN 'usd' END)) AS data,
    kinds.words || people.words || subjects.words || external_id
        || ('~' || pg_temp.ms_of(drawn.n) / {86_400_000 * PARTITION_DAYS})
        || CASE WHEN has_money THEN ARRAY['usd', amount::text, trim_scale(amount / 100.0)::text,
               '=' || trim_scale(amount / 100.0)] ELSE ARRAY[]::text[] END AS words
    FROM drawn JOIN kinds ON kinds.n = kind JOIN people ON people.n = person
    JOIN subjects ON subjects.n = drawn.subject;
"""
# Amounts are in cents: 5 to 5005 dollars, the small ones more often.
_DRAW = """
INSERT INTO drawn
SELECT n, pg_temp.id_of(n), to_timestamp(pg_temp.ms_of(n) / 1000.0), floor(random() * {kinds}),
    floor(random() * {people}), floor(random() * {subjects}), random(), random() > 0.01,
    500 + floor(random() ^ 3 * 100000) * 5,
    'evt_' || translate(left(md5(n::text || 'x'), 24), '0123456789', 'ghijkmnpqr')
FROM generate_series({first}, {last}) AS n
"""

_STORE = (
    f"""
INSERT INTO inbound_requests (id, source, state, received_at, method, url, headers, body,
    size_bytes, conflict, event_id)
SELECT id, source, 'accepted', at, 'POST', '/webhooks/' || source, '{{}}', '\\x7b7d', 2, false, id
FROM told WHERE n %% {EVENTS_A_REQUEST} = 0 ORDER BY n
""",
    f"""
INSERT INTO events (id, request_id, source, type, native_type, external_id, occurred_at,
    received_at, state, live, data, config_version, folded, indexed)
SELECT id, pg_temp.id_of(n - n %% {EVENTS_A_REQUEST}), source, type, native_type, external_id,
    at, at, (%(states)s::text[])[width_bucket(luck, %(bounds)s::float[])], live, data, '1',
    true, true
FROM told ORDER BY n
""",
    """
INSERT INTO event_search (event_id, words)
SELECT id, array_to_tsvector(words) FROM told ORDER BY n
""",
    """
INSERT INTO deliveries (id, event_id, route, destination, action, state, created_at, since,
    finished_at, attempts, tries)
SELECT id, id, 'receipt', 'email', 'send',
    CASE WHEN n %% 500 = 0 THEN 'failed' ELSE 'succeeded' END, at, at, at, 1, 1
FROM told WHERE has_money AND luck < 0.9 ORDER BY n
""",
)

_TABLES = ["inbound_requests", "events", "event_search", "deliveries"]
_INDEXES = """
SELECT schemaname || '.' || indexname, indexdef FROM pg_indexes
WHERE tablename = ANY(%s) AND NOT EXISTS (
    SELECT FROM pg_constraint WHERE conindid = (schemaname || '.' || indexname)::regclass)
"""


def fill(url: str, events: int) -> None:
    """Fill an empty database with so many events and everything that belongs to them, by time.

    Indexes are created afterwards, which is faster.
    """
    people = max(1, events // EVENTS_A_PERSON)
    span_ms = DAYS * 86_400_000
    start_ms = int(time.time() * 1000) - span_ms
    bounds = [0.0, *accumulate(STATES.values())][: len(STATES)]
    how = {"states": [str(state) for state in STATES], "bounds": bounds}
    options = "-c synchronous_commit=off -c maintenance_work_mem=512MB -c work_mem=64MB"
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        connection.execute("SET session_replication_role = replica")  # no foreign key is checked
        indexes = connection.execute(_INDEXES, [_TABLES]).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(_IDS.format(start_ms=start_ms, span_ms=span_ms, events=events))
        connection.execute(_DRAWN)
        _tell(connection, people)
        for first in range(0, events, CHUNK):
            last = min(first + CHUNK, events) - 1
            connection.execute("TRUNCATE drawn")
            most = {"kinds": 1000, "people": people, "subjects": SUBJECTS}
            connection.execute(_DRAW.format(first=first, last=last, **most))
            for statement in _STORE:
                connection.execute(statement, how)
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _tell(connection: psycopg.Connection, people: int) -> None:
    """Fill the tables from which events are drawn; each row has its search words beside it."""
    draw = random.Random(1)
    kinds = [kind[:3] for kind in KINDS for _ in range(kind[3])]
    with connection.cursor().copy("COPY kinds FROM STDIN") as copy:
        for n, (source, kind, native) in enumerate(kinds):
            has_money = source == "stripe"
            copy.write_row((n, source, kind, native, has_money, words_of(kind, source, "", {})))
    first_names = _by_rank(draw, FIRST_NAMES, 5, people)
    surnames = _by_rank(draw, SURNAMES, 20, people)
    with connection.cursor().copy("COPY people FROM STDIN") as copy:
        for n, (first, last) in enumerate(zip(first_names, surnames, strict=True)):
            person = {"name": f"{first.title()} {last.title()}",
                      "email": f"{first}.{last}{n}@example.com",
                      "phone": f"+1212{n:07d}"}  # fmt: skip
            copy.write_row((n, *person.values(), words_of("", "", "", person)))
    words = _by_rank(draw, VOCABULARY, 5, SUBJECTS * SUBJECT_WORDS)
    with connection.cursor().copy("COPY subjects FROM STDIN") as copy:
        for n in range(SUBJECTS):
            subject = " ".join(words[n * SUBJECT_WORDS : (n + 1) * SUBJECT_WORDS])
            copy.write_row((n, subject, words_of("", "", "", {"subject": subject})))
    connection.execute("ANALYZE kinds; ANALYZE people; ANALYZE subjects")


def _by_rank(draw: random.Random, words: Sequence[str], flat: int, count: int) -> list[str]:
    """Draw `count` words, the first ones often and the last ones rarely, like names."""
    return draw.choices(words, weights=[1 / (rank + flat) for rank in range(len(words))], k=count)

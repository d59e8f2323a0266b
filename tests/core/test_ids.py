"""Identifiers: ordered by time, and unique across processes."""

import os
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hub.core.ids import first_id, new_id

NOW = datetime(2026, 3, 4, 5, 6, 7, 891234, tzinfo=UTC)
MANY = 5000


def test_an_id_is_a_uuid_7_of_its_instant() -> None:
    one = new_id(NOW)
    assert (one.version, one.variant) == (7, "specified in RFC 4122")
    assert one.int >> 80 == int(NOW.timestamp()) * 1000 + 891
    assert first_id(NOW) <= one < first_id(NOW + timedelta(milliseconds=1))


def test_later_is_greater() -> None:
    ids = [new_id(NOW + timedelta(microseconds=n)) for n in range(0, 5000, 3)]
    assert ids == sorted(ids)


def test_processes_forked_from_one_make_different_ones() -> None:
    """The random part must differ in each: ids of one instant differ in nothing else."""
    found = {new_id(NOW) for _ in range(MANY)}
    for _ in range(3):
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            os.write(writer, b"".join(new_id(NOW).bytes for _ in range(1000)))
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
        found |= {UUID(bytes=data[at : at + 16]) for at in range(0, 16000, 16)}
    assert len(found) == MANY + 3000

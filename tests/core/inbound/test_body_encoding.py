"""Encoded bodies: the exact bytes come back, from every version's rows; when they are encoded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from threading import local

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import LargeBinary, select, type_coerce, update

from hub.core.errors import DamagedBody
from hub.core.events.reingest import reingest
from hub.core.inbound.body_encoder import BodyEncoder
from hub.core.inbound.ingest import ingest_all, store_rejected
from hub.core.inbound.receive import Receiver
from hub.core.models import HubIdentity, StoredRequest, body_encoding
from hub.core.models.body_encoding import (
    DIGESTS,
    LONGEST_BYTES,
    MARK,
    MOST_DECODED_BYTES,
    SHORTEST_BYTES,
    decode_body,
    dictionary,
    encode_body,
)
from hub.core.queries.event_detail import body_of
from hub.core.queries.requests import find_request
from hub.core.rehydrate import events_again
from hub.gateways.database.migrations import downgrade, upgrade
from tests.bench.load import Webhooks
from tests.core.making import NOW, Town, request, requests_of

PAYMENT = Webhooks("stored").body()[1]
LEAD = b'[{"id": "e1", "data": {"message": "%b"}}]' % (b"please call me about the roof " * 20)
LATER = timedelta(days=1)


class EncodingTown(Town):
    """Town whose receiver encodes the bodies that arrive."""

    @property
    def receiver(self) -> Receiver:
        return Receiver(
            self.configuration.sources, {"provider": self.provider}, self.router, BodyEncoder(NOW)
        )


def stored_bytes(connection) -> list[bytes]:
    """Return the bodies as the database has them."""
    column = type_coerce(StoredRequest.body, LargeBinary)
    return list(connection.execute(select(column).order_by(StoredRequest.id)).scalars())


anything = st.one_of(
    st.binary(max_size=2000),
    st.builds(bytes.__mul__, st.binary(max_size=50), st.integers(0, 200)),
    st.builds(MARK.__add__, st.binary(max_size=300)),
    st.builds(lambda body: encode_body(body), st.binary(min_size=200, max_size=300)),
    st.text().map(str.encode),
)


@given(anything, st.booleans())
@example(b"", True)
@example(MARK, False)
@example(encode_body(PAYMENT), False)
@example(encode_body(encode_body(PAYMENT)), True)
def test_any_body_comes_back_exactly(body: bytes, compress: bool) -> None:
    assert decode_body(encode_body(body, compress=compress)) == body


@given(anything)
def test_an_encoded_body_is_never_longer_unless_it_looks_encoded_itself(body: bytes) -> None:
    assert len(encode_body(body)) <= len(body) or body.startswith(MARK)


@given(st.binary(max_size=300).filter(lambda body: not body.startswith(MARK)))
def test_what_an_earlier_version_stored_is_read_as_it_is(body: bytes) -> None:
    assert decode_body(body) == body


def damaged(encoded: bytes) -> bytes:
    return encoded[:-1] + bytes([encoded[-1] ^ 1])


@pytest.mark.parametrize(
    "plain",
    [MARK, MARK + b"\x01", MARK + b"\x01 and text", MARK + bytes(9)],
)
def test_what_an_earlier_version_stored_may_look_encoded(plain: bytes) -> None:
    assert decode_body(plain) == plain


@pytest.mark.parametrize(
    "stored",
    [damaged(encode_body(PAYMENT)), encode_body(PAYMENT)[:-9], encode_body(PAYMENT) + b"more"],
)
def test_a_body_whose_bytes_have_changed_is_never_taken_for_what_arrived(stored: bytes) -> None:
    with pytest.raises(DamagedBody, match="restore the row from a backup"):
        decode_body(stored)


def test_a_frame_that_claims_more_than_any_source_takes_is_not_read() -> None:
    bomb = zstandard.ZstdCompressor(dict_data=dictionary(1)).compress(bytes(MOST_DECODED_BYTES + 1))
    with pytest.raises(DamagedBody):
        decode_body(MARK + b"\x01" + bomb)


def test_a_body_of_a_newer_version_is_a_sentence() -> None:
    encoded = encode_body(PAYMENT)
    newer = MARK + b"\xfa" + encoded[len(MARK) + 1 :]
    with pytest.raises(DamagedBody, match="dictionary 250"):
        decode_body(newer)


@pytest.fixture
def changed_dictionary(monkeypatch) -> Iterator[None]:
    """Give the dictionary's file other line ends than the digest knows."""
    monkeypatch.setitem(DIGESTS, 1, sha256(b"with other line ends").hexdigest())
    monkeypatch.setattr(body_encoding, "_local", local())
    dictionary.cache_clear()
    yield
    dictionary.cache_clear()


@pytest.mark.usefixtures("changed_dictionary")
def test_a_dictionary_that_was_changed_decodes_nothing() -> None:
    stored = MARK + b"\x01" + zstandard.ZstdCompressor().compress(PAYMENT)
    with pytest.raises(DamagedBody, match=r"body_dictionary_1\.txt was changed.*install it again"):
        decode_body(stored)


@pytest.mark.usefixtures("changed_dictionary")
def test_without_an_intact_dictionary_bodies_are_stored_plain_and_the_log_says_so(caplog) -> None:
    encoder = BodyEncoder(NOW)
    assert [encoder.encode(PAYMENT, received_at=NOW) for _ in range(2)] == [PAYMENT, PAYMENT]
    [line] = [one.getMessage() for one in caplog.records]
    assert line.startswith("bodies are stored plain: body_dictionary_1.txt was changed")


def test_a_payment_takes_less_than_a_fifth_and_a_short_body_stays_plain() -> None:
    assert len(encode_body(PAYMENT)) < len(PAYMENT) / 5
    assert encode_body(b"x" * (SHORTEST_BYTES - 1)) == b"x" * (SHORTEST_BYTES - 1)
    assert len(encode_body(b"x" * SHORTEST_BYTES)) < SHORTEST_BYTES
    assert encode_body(bytes(LONGEST_BYTES + 1)) == bytes(LONGEST_BYTES + 1)


def test_no_dictionary_ever_changes() -> None:
    """A body that was encoded with another could never be read again."""
    folder = Path(body_encoding.__file__).parent
    found = {
        int(path.stem.rpartition("_")[2]): sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("body_dictionary_*.txt")
    }
    assert found == DIGESTS
    assert DIGESTS[1] == "4aee6ec4f5e1e9437224e4220323fbcf5588755f772fbb679218aa0d8f183c29"


def test_threads_encode_side_by_side() -> None:
    bodies = [Webhooks(f"thread{number}").body()[1] for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        encoded = list(threads.map(encode_body, bodies))
        assert list(threads.map(decode_body, encoded)) == bodies


def test_a_webhook_is_stored_encoded_and_read_everywhere_as_it_arrived(database) -> None:
    town = EncodingTown()
    with database.write() as connection:
        taken = town.take_in(connection, body=LEAD)
        [kept] = requests_of(connection)
        [stored] = stored_bytes(connection)
        assert stored.startswith(MARK)
        assert len(stored) < len(LEAD) / 2
        assert (kept.body, kept.size_bytes) == (LEAD, len(LEAD))
        assert body_of(connection, kept.id) == LEAD
        shown = find_request(connection, kept.id)
        assert shown is not None
        assert shown["body"] == LEAD
        [again] = events_again(connection, town.inbound, taken.request_id)
    assert again.data["message"].startswith("please call me")


def test_all_of_one_write_a_conflict_and_an_unreadable_one_are_encoded(database) -> None:
    town = EncodingTown()
    other = LEAD.replace(b"roof", b"door")
    bodies = [LEAD, b'[{"id": "e2", "data": {"message": "%b"}}]' % (b"again " * 50)]
    with database.write() as connection:
        ingest_all(connection, [town.prepared(body=body) for body in bodies])
        assert town.take_in(connection, body=other).conflict
        town.take_in(connection, body=b"[]" + b" " * 400)
        assert all(one.startswith(MARK) for one in stored_bytes(connection))
        assert [one.body for one in requests_of(connection)] == [*bodies, other, b"[]" + b" " * 400]


def test_a_rejected_request_is_verified_again_by_its_exact_bytes(database) -> None:
    town = EncodingTown()
    with database.write() as connection:
        refused = request(body=LEAD, key="rotated")
        trace = store_rejected(connection, source="provider", request=refused, reason="wrong key")
        town.provider.key = "rotated"
        taken = reingest(connection, town, trace)  # type: ignore[arg-type]
        assert [one.body for one in requests_of(connection)] == [LEAD]
    assert len(taken.new_event_ids) == 1


def test_what_looks_encoded_is_stored_so_that_it_is_read_as_it_arrived(database, town) -> None:
    forged = encode_body(LEAD)
    with database.write() as connection:
        refused = request(body=forged, key="wrong")
        store_rejected(connection, source="provider", request=refused, reason="wrong key")
        [kept] = requests_of(connection)
    assert (kept.body, kept.size_bytes) == (forged, len(forged))


def test_a_process_encodes_nothing_before_it_knows_that_everybody_can_decode(database) -> None:
    town = Town()
    encoder = BodyEncoder()
    receiver = Receiver(
        town.configuration.sources, {"provider": town.provider}, town.router, encoder
    )

    def body_prepared(at):
        return receiver.prepare(request(body=LEAD, at=at), "provider").row["body"]

    assert body_prepared(NOW) == LEAD
    with database.write() as connection:
        connection.execute(update(HubIdentity).values(encodes_from=NOW + LATER))
        encoder.learn(connection)
        assert body_prepared(NOW + LATER - timedelta(microseconds=1)) == LEAD
        assert body_prepared(NOW + LATER).startswith(MARK)
        # Read once: the time does not change while a process runs.
        connection.execute(update(HubIdentity).values(encodes_from=None))
        encoder.learn(connection)
        assert body_prepared(NOW + LATER).startswith(MARK)
        connection.rollback()


def test_a_database_that_is_not_migrated_so_far_is_asked_again(database_url, database) -> None:
    downgrade(database_url, "0011")
    encoder = BodyEncoder()
    try:
        with database.read() as connection:
            encoder.learn(connection)
        assert encoder.encode(LEAD, received_at=NOW + LATER) == LEAD
    finally:
        upgrade(database_url)
    with database.write() as connection:
        connection.execute(update(HubIdentity).values(encodes_from=NOW))
    with database.read() as connection:
        encoder.learn(connection)
    assert encoder.encode(LEAD, received_at=NOW).startswith(MARK)

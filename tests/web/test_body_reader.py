"""Body reader: whole bodies, deadlines, and a budget of bytes that no crowd can use up."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.web import body_reader
from hub.web.body_reader import BodyReader, BodyRefused, Disconnected

LONG_S = 60


class Sender:
    """Sender of a body, piece by piece; what it has not sent yet is waited for."""

    def __init__(self, *pieces: bytes, more: bool = False) -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for place, piece in enumerate(pieces):
            self.send(piece, more=more or place < len(pieces) - 1)

    def send(self, piece: bytes, *, more: bool) -> None:
        self._messages.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        return await self._messages.get()


def read(reader: BodyReader, sender: Sender, **limits: Any) -> asyncio.Task[bytes]:
    limits = {"most_bytes": 1000, "within_s": LONG_S, "silent_s": LONG_S} | limits
    return asyncio.ensure_future(reader.read(sender.receive, **limits))


async def status_of(reading: asyncio.Task[bytes]) -> int | None:
    with pytest.raises(BodyRefused) as refused:
        await reading
    return refused.value.status


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8), st.integers(0, 200))
def test_a_body_is_whole_or_too_large_and_leaves_nothing_behind(
    pieces: Sequence[bytes], most: int
) -> None:
    async def check() -> None:
        reader = BodyReader()
        whole = b"".join(pieces)
        reading = read(reader, Sender(*pieces), most_bytes=most)
        if len(whole) > most:
            assert await status_of(reading) == 413
        else:
            assert await reading == whole
        assert (reader._held_bytes, reader._halves) == (0, {})

    asyncio.run(check())


@pytest.mark.parametrize("limit", ["within_s", "silent_s"])
@pytest.mark.parametrize("pieces", [(), (b"half",)])
def test_a_body_that_does_not_come_is_late(pieces: Sequence[bytes], limit: str) -> None:
    async def check() -> None:
        reader = BodyReader()
        assert await status_of(read(reader, Sender(*pieces, more=True), **{limit: 0.01})) == 408
        assert (reader._held_bytes, reader._halves) == (0, {})

    asyncio.run(check())


@pytest.mark.parametrize("within_s", [LONG_S, 0.5])
def test_a_body_that_goes_on_has_until_its_end_and_no_longer(within_s: float) -> None:
    async def check() -> None:
        sender = Sender()
        reading = read(BodyReader(), sender, within_s=within_s, silent_s=1)
        for _ in range(30):
            sender.send(b"x", more=True)
            await asyncio.sleep(0.05)
        sender.send(b"x", more=False)
        if within_s == LONG_S:
            assert await reading == b"x" * 31
        else:
            assert await status_of(reading) == 408

    asyncio.run(check())


@pytest.mark.parametrize("pieces", [(), (b"half",)])
def test_a_sender_that_leaves_is_not_answered(pieces: Sequence[bytes]) -> None:
    async def check() -> None:
        reader, sender = BodyReader(), Sender(*pieces, more=True)
        reading = read(reader, sender)
        sender.leave()
        with pytest.raises(Disconnected):
            await reading
        assert (reader._held_bytes, reader._halves) == (0, {})

    asyncio.run(check())


def test_beyond_the_budget_those_who_are_silent_give_way_and_one_who_goes_on_does_not() -> None:
    async def check() -> None:
        reader = BodyReader(budget_bytes=1000)
        crowd = [Sender(b"x" * 300, more=True) for _ in range(3)]
        silent = [read(reader, sender) for sender in crowd]
        await settle()
        busy = Sender(b"y" * 90, more=True)
        reading = read(reader, busy, most_bytes=2000)
        await settle()
        for _ in range(9):
            busy.send(b"y" * 90, more=True)
            await settle()
        busy.send(b"y" * 50, more=False)
        assert await reading == b"y" * 950
        assert [await status_of(one) for one in silent] == [503, 503, 503]
        assert (reader._held_bytes, reader._halves) == (0, {})

    asyncio.run(check())


def test_those_who_send_a_byte_now_and_then_give_way_before_one_who_gets_on(monkeypatch) -> None:
    monkeypatch.setattr(body_reader, "STRIDE_BYTES", 20)

    async def check() -> None:
        reader = BodyReader(budget_bytes=1000)
        crowd = [Sender(b"x" * 300, more=True) for _ in range(3)]
        dripping = [read(reader, sender) for sender in crowd]
        await settle()
        busy = Sender(b"y" * 80, more=True)
        reading = read(reader, busy)
        await settle()
        for _ in range(30):  # bytes, far beyond the budget
            for sender in crowd:
                sender.send(b"x", more=True)
            await settle()
        assert not reading.done()
        busy.send(b"y" * 20, more=False)
        assert await reading == b"y" * 100
        assert await status_of(dripping[0]) == 503
        for one in dripping[1:]:
            one.cancel()
        await settle()
        assert (reader._held_bytes, reader._halves) == (0, {})

    asyncio.run(check())


def test_one_whose_own_byte_is_too_much_gives_way_and_a_whole_one_does_not() -> None:
    async def check() -> None:
        reader = BodyReader(budget_bytes=1000)
        first, second, third = (Sender(b"x" * 330, more=True) for _ in range(3))
        readings = [read(reader, sender) for sender in (first, second, third)]
        await settle()
        first.send(b"x" * 100, more=False)  # beyond the budget, and the slowest of all
        assert await readings[0] == b"x" * 430
        second.send(b"x" * 400, more=True)
        assert await status_of(readings[1]) == 503
        third.send(b"", more=False)
        assert await readings[2] == b"x" * 330
        assert (reader._held_bytes, reader._halves) == (0, {})

    asyncio.run(check())


@pytest.mark.parametrize("pieces", [(), (b"half",)])
def test_the_time_that_a_head_took_is_none_that_its_body_has(pieces: Sequence[bytes]) -> None:
    async def check() -> None:
        begun_s = asyncio.get_running_loop().time() - LONG_S
        reading = read(BodyReader(), Sender(*pieces, more=True), begun_s=begun_s)
        assert await status_of(reading) == 408

    asyncio.run(check())


def test_a_body_in_one_piece_needs_no_budget() -> None:
    async def check() -> None:
        reader = BodyReader(budget_bytes=10)
        half = read(reader, Sender(b"x" * 10, more=True))
        await settle()
        assert await read(reader, Sender(b"y" * 900)) == b"y" * 900
        assert not half.done()
        half.cancel()

    asyncio.run(check())


def test_a_body_that_is_alone_may_be_larger_than_the_budget() -> None:
    async def check() -> None:
        reader = BodyReader(budget_bytes=100)
        assert await read(reader, Sender(b"x" * 90, b"x" * 90)) == b"x" * 180

    asyncio.run(check())


def test_one_that_gives_way_in_the_turn_of_its_next_piece_stays_given_way() -> None:
    async def check() -> None:
        reader = BodyReader(budget_bytes=1000)
        first, second = Sender(b"x" * 900, more=True), Sender(b"y" * 900, more=True)
        giving_way = read(reader, first)
        await settle()
        first.send(b"x", more=True)  # is there, and not yet read, when the second one comes
        other = read(reader, second)
        assert await status_of(giving_way) == 503
        assert reader._held_bytes == 900
        second.send(b"", more=False)
        assert await other == b"y" * 900
        assert (reader._held_bytes, reader._halves) == (0, {})

    asyncio.run(check())


def test_whole_bodies_that_wait_have_a_budget_too_and_one_is_always_taken() -> None:
    reader = BodyReader(budget_bytes=100)
    with reader.kept(b"x" * 60), reader.kept(b"x" * 40):
        with pytest.raises(BodyRefused) as refused, reader.kept(b"x"):
            pass
        assert refused.value.status == 503
    with reader.kept(b"x" * 1000):
        pass
    with reader.kept(b"x" * 100):
        pass

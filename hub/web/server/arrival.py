"""Buffer of an incoming request: bytes, and whether it is complete (RFC 9112, sections 6 and 7).

Only the framing is read. What is odd counts as whole: the server's own parser then refuses it.
"""

import re

# More than the server's own limits for one header let through; a longer head is refused.
HEAD_MOST_BYTES = 64 * 1024
# What is larger is read while it comes, by the thread that answers it.
WHOLE_MOST_BYTES = 1024 * 1024 + HEAD_MOST_BYTES

_BARE_LF = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?=\r\n)", re.IGNORECASE)
_LENGTH_NAME = re.compile(rb"\r\ncontent-length[ \t]*:", re.IGNORECASE)
_CODING_NAME = re.compile(rb"\r\ntransfer-encoding[ \t]*:", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*(?=\r\n)", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}(?=[ \t;]|\Z)")


class Arrival:
    """The bytes of one request. `deadline_s` is on the monotonic clock.

    `is_whole` becomes true once a thread can take it without waiting for its sender.
    `awaits_continue`: the sender wants to hear `100 Continue` before it sends the body.
    """

    __slots__ = ("_body_at", "_chunk_at", "_seen", "_wanted", "awaits_continue", "data",
                 "deadline_s", "is_whole")  # fmt: skip

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.data = bytearray()
        self.is_whole = False
        self.awaits_continue = False
        self._body_at = 0  # 0: the head has not ended yet
        self._wanted: int | None = None  # the whole length; None: chunked
        self._chunk_at = 0
        self._seen = 0

    @property
    def has_head(self) -> bool:
        return self._body_at > 0

    @property
    def head_is_too_large(self) -> bool:
        return not self.has_head and len(self.data) > HEAD_MOST_BYTES

    @property
    def is_complete(self) -> bool:
        """Return whether the whole request, of a declared length, has arrived.

        False if `100 Continue` is still to be sent, or if more bytes have come behind it.
        """
        return len(self.data) == self._wanted and not self.awaits_continue

    def parts(self) -> tuple[bytes, bytes]:
        """Return the head, its empty line included, and the bytes behind it."""
        return bytes(self.data[: self._body_at]), bytes(self.data[self._body_at :])

    def add(self, data: bytes) -> None:
        """Append bytes, and update `is_whole`."""
        self.data += data
        if not self.has_head:
            self._look_for_the_head()
        if self.has_head and not self.is_whole:
            self._look_for_the_body()

    def promise_continue(self) -> int:
        """Remove the `Expect` field: `100 Continue` is sent. Return the number of bytes removed."""
        head = bytes(self.data[: self._body_at])
        shorter = _EXPECTS.sub(b"", head)
        self.data[: self._body_at] = shorter
        gone = len(head) - len(shorter)
        self._body_at -= gone
        self._chunk_at -= gone
        if self._wanted is not None:
            self._wanted -= gone
        self.awaits_continue = False
        return gone

    def _look_for_the_head(self) -> None:
        end = self.data.find(b"\r\n\r\n", max(0, self._seen - 3))
        if end < 0:
            self.is_whole = _BARE_LF.search(self.data, max(0, self._seen - 1)) is not None
            self._seen = len(self.data)
            return
        self._body_at = self._chunk_at = end + 4
        head = bytes(self.data[: end + 2])
        fields = len(_LENGTH_NAME.findall(head)) + len(_CODING_NAME.findall(head))
        length = _LENGTH.search(head)
        if fields != 1 or (length is None and _CHUNKED.search(head) is None):
            self.is_whole = True
            return
        self._wanted = None if length is None else self._body_at + int(length[1])
        self.is_whole = self._wanted is not None and self._wanted > WHOLE_MOST_BYTES
        self.awaits_continue = not self.is_whole and _EXPECTS.search(head) is not None

    def _look_for_the_body(self) -> None:
        if self._wanted is not None:
            self.is_whole = len(self.data) >= self._wanted
        else:
            self.is_whole = len(self.data) > WHOLE_MOST_BYTES or self._chunks_have_ended()

    def _chunks_have_ended(self) -> bool:
        while True:
            line_end = self.data.find(b"\r\n", self._chunk_at)
            if line_end < 0:
                return len(self.data) - self._chunk_at > HEAD_MOST_BYTES
            size = _CHUNK_SIZE.match(bytes(self.data[self._chunk_at : line_end]))
            if size is None:
                return True
            if not int(size[0], 16):
                return self._trailers_have_ended(line_end)
            self._chunk_at = line_end + 2 + int(size[0], 16) + 2
            if self._chunk_at > WHOLE_MOST_BYTES:
                return True
            if self._chunk_at > len(self.data):
                return False

    def _trailers_have_ended(self, line_end: int) -> bool:
        return self.data.find(b"\r\n\r\n", line_end) >= 0

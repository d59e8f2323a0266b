"""Encoding of stored bodies: zstd (RFC 8878) with a dictionary of typical webhooks, or plain.

An encoded body is `MARK`, one byte with the number of its dictionary, and one zstd frame with the
body's length and a checksum. Everything else is plain: the bodies of earlier releases, small ones,
and those that would not become smaller. A body that itself begins with `MARK` is always encoded, so
that reading gives back exactly the bytes that arrived.

The dictionary is raw content: webhooks of the providers, as their documentation shows them, the
most frequent ones last. It makes 0.5 to 0.9 kB of a payment of 6 kB, where zstd alone makes 1.5.
A dictionary is needed for as long as a body that was encoded with it may be stored: a better one
gets the next number and a file of its own, and no file is changed or removed.

The library is imported with the first body: a process at rest does without it.
"""

import threading
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from hub.core.errors import DamagedBody

if TYPE_CHECKING:
    import zstandard

# No text begins so, and no format that a webhook comes in.
MARK = b"\x00\xffhub"
# What a zstd frame begins with (RFC 8878, 3.1.1).
_FRAME = b"\x28\xb5\x2f\xfd"
# Number of the dictionary that new bodies are encoded with.
DICTIONARY = 1
# Digest of each dictionary: it may never change.
DIGESTS = {1: "4aee6ec4f5e1e9437224e4220323fbcf5588755f772fbb679218aa0d8f183c29"}
# A shorter body would gain less than its row's own alignment.
SHORTEST_BYTES = 128
# Longer ones are mostly files that are compressed already, and would hold up an event loop.
LONGEST_BYTES = 1024 * 1024
# The most that decoding makes of any stored bytes: no source takes more (`max_bytes`).
MOST_DECODED_BYTES = 64 * 1024 * 1024
LEVEL = 5

_local = threading.local()


class StoredBody(TypeDecorator[bytes]):
    """Column type of a body: what is read is decoded; what is written comes from `encode_body`."""

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else decode_body(value)


def encode_body(body: bytes, *, compress: bool = True) -> bytes:
    """Return the bytes to store for a body: the encoded ones where those are fewer, else itself."""
    is_marked = body.startswith(MARK)
    if not is_marked and not (compress and SHORTEST_BYTES <= len(body) <= LONGEST_BYTES):
        return body
    encoded = b"%b%c%b" % (MARK, DICTIONARY, _compressor().compress(body))
    return encoded if is_marked or len(encoded) < len(body) else body


def decode_body(stored: bytes) -> bytes:
    """Return the body that stored bytes stand for.

    Bytes that begin with `MARK` and have no frame after it are a plain body, of a release that
    encoded none.

    Raises:
        DamagedBody: the frame is not intact, or its dictionary is not, or only a newer release has
            that. What is stored is never taken for what arrived.
    """
    frame = stored[len(MARK) + 1 :]
    if not (stored.startswith(MARK) and frame.startswith(_FRAME)):
        return stored
    import zstandard

    found = dictionary(stored[len(MARK)])
    try:
        if 0 <= zstandard.frame_content_size(frame) <= MOST_DECODED_BYTES:
            decompressor = zstandard.ZstdDecompressor(dict_data=found)
            return decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError:
        pass
    raise DamagedBody(
        "the stored body is damaged: its bytes have changed since they were written. "
        "Look at the database's disk, and restore the row from a backup"
    )


@cache
def dictionary(number: int) -> "zstandard.ZstdCompressionDict":
    """Return a dictionary.

    Raises:
        DamagedBody: this release does not have it, or its file is not the one that was released.
    """
    if number not in DIGESTS:
        raise DamagedBody(
            f"a stored body needs dictionary {number}, which a newer version of the hub has: "
            "install that version again"
        )
    import zstandard

    path = Path(__file__).with_name(f"body_dictionary_{number}.txt")
    content = path.read_bytes()
    if sha256(content).hexdigest() != DIGESTS[number]:
        raise DamagedBody(
            f"{path.name} was changed, and bodies need it as it was: install it again"
        )
    found = zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    if number == DICTIONARY:
        found.precompute_compress(level=LEVEL)
    return found


def _compressor() -> "zstandard.ZstdCompressor":
    """Return the compressor of this thread: one may not be used by two at once."""
    if not hasattr(_local, "compressor"):
        import zstandard

        _local.compressor = zstandard.ZstdCompressor(
            level=LEVEL, dict_data=dictionary(DICTIONARY), write_checksum=True
        )
    found: zstandard.ZstdCompressor = _local.compressor
    return found

"""Password hashing with argon2id; verification takes the same time with and without a hash.

Separate from `crypto`, which workers and the clock import, to keep argon2 out of their memory.
"""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# In characters: a longer password costs memory without better protection.
LONGEST = 128

# The minimum of OWASP's Password Storage Cheat Sheet; eight hashes at once take 150 MiB.
_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)

# Dummy hash of random bytes at that cost; to compute it at every start would take 30 ms.
NOBODYS = (
    "$argon2id$v=19$m=19456,t=2,p=1$M01knOTN4d5hhR3nMdrn4g$5a0GhE"
    "/0HyowDr35u3pjULgDscoI3P5+YkxN9dmqzGM"
)


def hash_password(password: str) -> str:
    """Return a hash that contains its salt and cost parameters."""
    return _hasher.hash(_bytes(password))


def is_password(password: str, password_hash: str | None) -> bool:
    """Return whether a password matches a hash; without a hash, False after the same time."""
    try:
        _hasher.verify(password_hash or NOBODYS, _bytes(password[: LONGEST + 1]))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Return whether a hash has other cost parameters than the current ones."""
    return _hasher.check_needs_rehash(password_hash)


def _bytes(password: str) -> bytes:
    """Return the bytes of a password, normalized (NFKC) so that keyboards make no difference."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")

"""Password hashing with argon2id; verifying costs the same whether there is a hash or not.

Apart from `crypto`, which workers and the clock import: argon2 has no business in their memory.
"""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# In characters: more costs memory and protects nobody better.
LONGEST = 128

# What OWASP's Password Storage Cheat Sheet asks for at least; eight at once are 150 MiB.
_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)

# A hash of random bytes at that cost: to make it anew at every start would take 30 ms.
NOBODYS = (
    "$argon2id$v=19$m=19456,t=2,p=1$M01knOTN4d5hhR3nMdrn4g$5a0GhE"
    "/0HyowDr35u3pjULgDscoI3P5+YkxN9dmqzGM"
)


def hash_password(password: str) -> str:
    """Return a hash that holds its own salt and cost."""
    return _hasher.hash(_bytes(password))


def is_password(password: str, password_hash: str | None) -> bool:
    """Return whether a password is the one that was hashed; without a hash, as slowly, False."""
    try:
        _hasher.verify(password_hash or NOBODYS, _bytes(password[: LONGEST + 1]))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Return whether a hash was made at another cost than is asked for today."""
    return _hasher.check_needs_rehash(password_hash)


def _bytes(password: str) -> bytes:
    """Return the same bytes for what looks the same, whatever keyboard it came from (NFKC)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")

"""The key that cookies and form tokens are signed with, and keys made from it for each purpose.

Passwords: hashed with argon2id, and checked at the same cost whether there is one or not.
"""

import hashlib
import hmac
import os
import secrets
import unicodedata
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


def local_secret(folder: Path) -> str:
    """Return this machine's own secret, made on first use; for a hub without `SECRET_KEY`.

    All processes on the machine find the same one. It is good for one machine alone.
    """
    path = folder / "secret.key"
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fresh = folder / f"secret.key.{os.getpid()}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(fresh, path)  # the first one wins, whole
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text()


def key_for(secret: str, purpose: str) -> bytes:
    """Return 32 bytes made from a secret, other ones for every purpose."""
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)


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

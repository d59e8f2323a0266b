"""The hub's signing key, and the keys derived from it for each purpose."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path


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

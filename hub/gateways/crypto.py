"""Signing key of the hub, and keys derived from it for each purpose."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from hub.gateways.private_files import make_private_folder, private_opener


def local_secret(folder: Path) -> str:
    """Return this machine's own signing key, created on first use; for a hub without `SECRET_KEY`.

    All processes that use `folder` get the same key. It is valid on one machine only.

    Raises:
        OSError: the key cannot be read or created.
    """
    path = folder / "secret.key"
    make_private_folder(folder)
    if not path.exists():
        fresh = folder / f"secret.key.{os.getpid()}"
        with open(fresh, "w", opener=private_opener) as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(fresh, path)  # atomic: the first process wins, and the file is never partial
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    with open(path, opener=private_opener) as file:
        return file.read()


def key_for(secret: str, purpose: str) -> bytes:
    """Return a 32-byte key derived from a secret (HMAC-SHA256), different for each purpose."""
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)

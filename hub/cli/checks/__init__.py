"""What `hub check` finds: the environment, the file, the stores, the accounts, one line each.

Every function returns its findings; nothing here prints, changes anything or raises for what is
wrong. No finding holds a secret.
"""

from dataclasses import dataclass

OK, NOTE, FAULT = "ok", "note", "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is ok, note (worth knowing) or fault (to be mended before the hub is relied on)."""

    level: str
    subject: str
    message: str

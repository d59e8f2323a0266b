"""Checks of `hub check`: environment, configuration file, stores and accounts; one line each.

Every function returns or yields its findings. None prints, changes anything, or raises because of
a fault. No finding contains a secret.
"""

from dataclasses import dataclass

OK, NOTE, FAULT = "ok", "note", "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    `level`: ok, note (worth knowing) or fault (to be fixed before the hub is relied on).
    """

    level: str
    subject: str
    message: str

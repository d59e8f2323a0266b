"""One thing that `hub check` has to say. No finding holds a secret."""

from dataclasses import dataclass

OK, NOTE, FAULT = "ok", "note", "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is ok, note (worth knowing) or fault (to be mended before the hub is relied on)."""

    level: str
    subject: str
    message: str

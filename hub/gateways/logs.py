"""Logging set-up: one line per event on standard error. Never a body, an address or a secret."""

import logging
import os
import sys
from pathlib import Path
from traceback import extract_tb
from typing import Any

import structlog

# Frames of a traceback that `place_of` shows.
SHOWN_FRAMES = 4
QUIET = ("rq", "urllib3", "alembic", "sqlalchemy", "uvicorn")


def configure_logs(level: str, form: str | None) -> None:
    """Send all logging of the process to standard error, as `json` or `console` lines.

    `form` None: console on a terminal, JSON elsewhere.
    """
    # With it, Stripe's library prints what it sends and gets, past all logging.
    os.environ.pop("STRIPE_LOG", None)
    form = form or ("console" if sys.stderr.isatty() else "json")
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if form == "console"
        else structlog.processors.JSONRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def place_of(error: BaseException) -> str:
    """Return the innermost frames of an exception, innermost first: `module.function:line < ...`.

    The exception's message may quote a body, so it is not logged.
    """
    frames = extract_tb(error.__traceback__)[-SHOWN_FRAMES:]
    names = [f"{Path(frame.filename).stem}.{frame.name}:{frame.lineno}" for frame in frames]
    return " < ".join(reversed(names))

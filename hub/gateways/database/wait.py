"""Waiting for an unavailable database, with backoff: processes recover on their own."""

import logging
from collections.abc import Callable
from functools import partial
from threading import Event
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    after_nothing,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    stop_never,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity import sleep_using_event as sleep_on

from hub.core.ports import Store

PATIENCE_S = 30.0

Prepared = TypeVar("Prepared")

log = logging.getLogger(__name__)


class NotReady(Exception):
    """Database that cannot be used yet; the message says why, for the log."""


def wait_for_store(store: Store, stop: Event) -> bool:
    """Wait until the database answers, for `PATIENCE_S` or until `stop`; return whether it does."""
    return bool(_keep_trying(partial(_ask, store), DBAPIError, stop, within_s=PATIENCE_S))


def wait_until_ready(prepare: Callable[[], Prepared], stop: Event) -> Prepared | None:
    """Call `prepare` until it no longer raises NotReady; return what it returns.

    Return None if `stop` comes first.
    """
    return _keep_trying(prepare, NotReady, stop, after=_log_not_ready)


def _keep_trying(
    work: Callable[[], Prepared],
    error: type[Exception],
    stop: Event,
    *,
    within_s: float | None = None,
    after: Callable[[RetryCallState], None] = after_nothing,
) -> Prepared | None:
    tries = Retrying(
        retry=retry_if_exception_type(error),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=(stop_never if within_s is None else stop_after_delay(within_s))
        | stop_when_event_set(stop),
        sleep=sleep_on(stop),
        after=after,
    )
    try:
        return tries(work)
    except RetryError:
        return None


def _ask(store: Store) -> bool:
    with store.read() as connection:
        return bool(connection.execute(text("SELECT 1")).scalar_one())


def _log_not_ready(state: RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    log.warning("the database is not ready (%s); retrying shortly", error)


def _is_dead_connection(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated


# Calls work of a request again, at once, if the pooled connection turned out to be dead: nobody
# waits for the next request to find out. The work must be harmless when it is done twice.
once_more = Retrying(
    retry=retry_if_exception(_is_dead_connection), stop=stop_after_attempt(2), reraise=True
)

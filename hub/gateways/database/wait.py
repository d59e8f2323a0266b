"""Waiting for an unavailable database, with backoff: processes recover on their own."""

import logging
from threading import Event

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity import sleep_using_event as sleep_on

from hub.core.ports import Store

PATIENCE_S = 30.0

log = logging.getLogger(__name__)


def wait_for_store(store: Store, stop: Event) -> bool:
    """Wait until the database answers, for `PATIENCE_S` or until `stop`; return whether it does."""
    patience = Retrying(
        retry=retry_if_exception_type(DBAPIError),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(PATIENCE_S) | stop_when_event_set(stop),
        sleep=sleep_on(stop),
    )
    try:
        patience(_ask, store)
    except RetryError:
        return False
    return True


def _ask(store: Store) -> None:
    with store.read() as connection:
        connection.execute(text("SELECT 1"))

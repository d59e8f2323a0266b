"""RQ job that is read only if it is small: Redis is asked for its size before any of its data.

Whoever can write to Redis could otherwise fill the memory of every worker with one job. Of a job
only what the hub's own ones hold is read: no callbacks, retries, dependencies or results.
"""

import logging
import zlib
from contextlib import suppress

from redis.exceptions import RedisError, ResponseError
from rq.exceptions import NoSuchJobError
from rq.job import Job

from hub.gateways.redis_queue import FAILURE_TTL_S, JOB_TIMEOUT_S

MOST_BYTES = 64 * 1024
_READ = ("data", "origin")
# All that RQ keeps of a job. A field of another name is never read.
_FIELDS = (
    *_READ, "created_at", "enqueued_at", "started_at", "ended_at", "last_heartbeat", "status",
    "description", "worker_name", "group_id", "timeout", "ttl", "result_ttl", "failure_ttl",
    "result", "exc_info", "meta", "success_callback_name", "success_callback_timeout",
    "failure_callback_name", "failure_callback_timeout", "stopped_callback_name",
    "stopped_callback_timeout", "webhooks", "dependency_id", "dependency_ids",
    "allow_dependency_failures", "enqueue_at_front", "number_of_retries", "retries_left",
    "retry_intervals", "enqueue_at_front_on_retry", "repeats_left", "repeat_intervals",
)  # fmt: skip

log = logging.getLogger(__name__)


class JobRefused(NoSuchJobError):
    """Job that is too large or malformed. RQ passes over it, as over one that has expired."""


class SmallJob(Job):
    """Job of at most `MOST_BYTES`, also once its data is decompressed."""

    def refresh(self) -> None:
        """Read the job from Redis.

        Raises:
            JobRefused: it is too large, or no job; it is deleted.
            NoSuchJobError: there is none.
        """
        try:
            self._read()
        except ResponseError as error:  # another type of key
            raise self._refused("it is no job") from error
        self.timeout, self.result_ttl, self.failure_ttl = JOB_TIMEOUT_S, 0, FAILURE_TTL_S

    def _read(self) -> None:
        ask = self.connection.pipeline(transaction=False)
        for field in _FIELDS:
            ask.hstrlen(self.key, field)
        size = sum(ask.execute())
        if size > MOST_BYTES:
            raise self._refused(f"it has {size} bytes, and may have {MOST_BYTES}")
        values = self.connection.hmget(self.key, _READ)
        read = {f: v for f, v in zip(_READ, values, strict=True) if isinstance(v, bytes)}
        # It may have been replaced since.
        if sum(map(len, read.values())) > MOST_BYTES or _is_bomb(read.get("data", b"")):
            raise self._refused(f"its data has more than {MOST_BYTES} bytes")
        try:
            self.restore(read)
        except ValueError as error:
            raise self._refused("it cannot be read") from error

    def _refused(self, why: str) -> JobRefused:
        log.warning(
            "a job in Redis was refused and deleted: %s. It is none of the hub's: who else can "
            "write to this Redis?", why,
        )  # fmt: skip
        with suppress(RedisError):
            self.connection.unlink(self.key)
        return JobRefused(why)


def _is_bomb(data: bytes) -> bool:
    """Return whether compressed data is much larger than it looks."""
    unpacking = zlib.decompressobj()
    with suppress(zlib.error):  # it is not compressed
        unpacking.decompress(data, MOST_BYTES)
    return bool(unpacking.unconsumed_tail)

"""The doorbell on Redis: RQ carries "this stage has work" and never what the work is.

The rows in the database are the queue. A lost job, an emptied Redis or one that is away
costs latency alone, because the clock rings again. Why RQ's own retries, unique jobs,
schedules and time to live are not used: `docs/adr/0002-rq-is-a-doorbell.md`.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import time
from collections.abc import Callable
from threading import Event
from types import FrameType
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from .errors import BillhookError

QUEUE: Final = "billhook"
ANSWER: Final = "worker.answer"
"""The one function that a job may name."""
RUNG_SECONDS: Final = 5
"""How long a ring that nobody has answered yet keeps the next ones from adding jobs."""
AWAY_SECONDS: Final = 2
"""How long a Redis that did not answer is left alone."""
JOB_SECONDS: Final = 300
_PR_SET_PDEATHSIG: Final = 1


class ForeignJobError(BillhookError):
    """Somebody put a job into the queue that is no ring of ours."""


class Ring(Job):
    """A job that can only be a ring: whatever else stands in Redis, no other function is run."""

    @property
    def func(self) -> Callable[..., Any]:
        """Return the one function allowed; raise ForeignJobError for any other."""
        if self.instance is not None or self.func_name != ANSWER:
            raise ForeignJobError(f"{self.id}: is no ring of Billhook's, it was not run")
        function: Callable[..., Any] = super().func
        return function

    @property
    def success_callback(self) -> None:
        """Return nothing: callbacks would be functions too."""

    @property
    def failure_callback(self) -> None:
        """Return nothing: callbacks would be functions too."""

    @property
    def stopped_callback(self) -> None:
        """Return nothing: callbacks would be functions too."""

    def send_webhooks(self, *_: Any, **__: Any) -> None:
        """Send nothing: an address in a job would be somebody else's choice."""


def connect(redis_url: str) -> Redis:
    """Return a connection that gives up quickly: a ring is not worth waiting for."""
    return Redis.from_url(redis_url, socket_connect_timeout=0.5, socket_timeout=2, retry=None)


def bell_queue(connection: Redis) -> Queue:
    """Return the one queue; a worker listens to it alone, so RQ moves jobs and loses none."""
    return Queue(QUEUE, connection=connection, serializer=JSONSerializer, job_class=Ring)


class RedisDoorbell:
    """Rings by way of Redis. Many rings for a stage become one job until a worker answers."""

    def __init__(self, redis_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._redis = connect(redis_url)
        self._queue = bell_queue(self._redis)
        self._monotonic = monotonic
        self._away_until = 0.0

    def ring(self, stage: str) -> None:
        """Wake a worker for a stage; a Redis that is away is left alone for a moment."""
        if self._monotonic() < self._away_until:
            return
        try:
            if self._redis.set(_rung(stage), b"1", nx=True, ex=RUNG_SECONDS):
                self._queue.enqueue_call(
                    ANSWER,
                    args=(stage,),
                    timeout=JOB_SECONDS,
                    result_ttl=0,
                    failure_ttl=60,
                )
        except (RedisError, OSError):
            self._away_until = self._monotonic() + AWAY_SECONDS

    def answered(self, stage: str) -> None:
        """Let the next ring for a stage through: call this before looking for its work."""
        try:
            self._redis.delete(_rung(stage))
        except (RedisError, OSError):
            self._away_until = self._monotonic() + AWAY_SECONDS

    def is_reachable(self) -> bool:
        """Return whether Redis answers."""
        try:
            return bool(self._redis.ping())
        except (RedisError, OSError):
            return False


def _rung(stage: str) -> str:
    return f"billhook:rung:{stage}"


class RingWorker(Worker):
    """Answers rings, each in a forked process that dies with this one."""

    is_stopping = False
    """Whether somebody has asked the process to stop; RQ also gives up where Redis is away."""

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Remember that somebody asked, then finish the job at hand."""
        type(self).is_stopping = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def setup_work_horse_signals(self) -> None:
        """Have the forked process end with its parent: an orphan would work on beside a new one."""
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def listen(redis_url: str, stop: Event, *, prepare: Callable[[], None]) -> None:
    """Answer rings until asked to stop. A Redis that is away is waited for, however long it takes.

    `stop` is set by who asks before the worker of RQ has its own ears. `prepare` is called before
    anything is forked.
    """
    prepare()
    while not (stop.is_set() or RingWorker.is_stopping):
        connection = Redis.from_url(redis_url)
        try:
            RingWorker(
                [bell_queue(connection)],
                connection=connection,
                job_class=Ring,
                serializer=JSONSerializer,
                worker_ttl=20,
                maintenance_interval=20,
                log_job_description=False,
            ).work(logging_level="WARNING")
            if not RingWorker.is_stopping:
                time.sleep(AWAY_SECONDS)
        except StopRequested:
            return
        except (RedisError, OSError):
            if not RingWorker.is_stopping:
                time.sleep(AWAY_SECONDS)

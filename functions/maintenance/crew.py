"""Several parked tasks in flight at once, at a limited rate."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Lock


class Crew:
    """Threads that resume the tasks of one batch; a container keeps them from one invocation to the next.

    Attributes:
        lock: For what only one of them may do at a time.
    """

    def __init__(
        self,
        size: int,
        rate: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Starts no thread before there is work.

        Args:
            size: Tasks in flight at most.
            rate: Tasks begun per second at most.
            monotonic: Own clock in seconds.
            sleep: Waits this many seconds.
        """
        self.lock = Lock()
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="resume")
        self._spacing = 1 / rate
        self._monotonic = monotonic
        self._sleep = sleep
        self._due = monotonic()

    def each(self, act: Callable[[str], None], keys: Iterable[str]) -> None:
        """Begin an act for each key, in their order, and return when all have ended.

        After the first act that raises no further one begins.

        Raises:
            Exception: What an act raised.
        """
        begun: list[Future[None]] = []
        for key in keys:
            if any(one.done() and one.exception() for one in begun):
                break
            self._wait_for_turn()
            begun.append(self._pool.submit(act, key))
        _, unfinished = wait(begun, return_when=FIRST_EXCEPTION)
        for one in unfinished:
            one.cancel()
        wait(unfinished)
        for one in begun:
            if not one.cancelled():
                one.result()

    def _wait_for_turn(self) -> None:
        now = self._monotonic()
        if self._due > now:
            self._sleep(self._due - now)
        self._due = max(self._due, now) + self._spacing

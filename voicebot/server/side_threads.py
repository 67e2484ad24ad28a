"""Other people's functions, kept off the event loop that carries the calls.

Daemon threads of our own rather than an executor: a function that never returns must not
keep the process from exiting. `async` functions share one event loop in a thread of its
own, so that what they keep between calls (connections) stays usable.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any


class Overloaded(Exception):
    """As many functions as allowed have not come back."""


class SideThreads:
    """Runs at most `limit` functions at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, function: Callable[..., object], keywords: Mapping[str, object]) -> object:
        """The function's result or exception; Overloaded when too many are running.

        Cancelling the wait does not stop a plain function: it goes on and stays counted.
        """
        with self._lock:
            if self._running >= self._limit:
                raise Overloaded(f"{self._limit} call-outs have not come back")
            self._running += 1
        if inspect.iscoroutinefunction(function):
            try:
                future = self._start_coroutine(function(**keywords))
            except BaseException:  # it does not take these arguments: it never ran
                self._ended(None)
                raise
        else:
            future = concurrent.futures.Future()
            # From here a cancelled wait leaves the future alone: its thread will resolve it.
            future.set_running_or_notify_cancel()
            arguments = (function, dict(keywords), future)
            threading.Thread(target=_resolve, args=arguments, daemon=True).start()
        future.add_done_callback(self._ended)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Stop the loop of the async functions; plain ones end by themselves."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _ended(self, _: concurrent.futures.Future[object] | None) -> None:
        with self._lock:
            self._running -= 1

    def _start_coroutine(
        self, coroutine: Coroutine[Any, Any, object]
    ) -> concurrent.futures.Future[object]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run_loop, args=(self._loop,), daemon=True).start()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


def _resolve(
    function: Callable[..., object],
    keywords: dict[str, object],
    future: concurrent.futures.Future[object],
) -> None:
    try:
        future.set_result(function(**keywords))
    except BaseException as error:
        future.set_exception(error)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()

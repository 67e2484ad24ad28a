"""The journal of calls: one writer thread behind asyncio, so that no call waits for a disk."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from voicebot.errors import JournalClosed
from voicebot.store.journal_file import JournalFile
from voicebot.store.records import CallEnd, CallStart, NoteRecord, ServiceRecord, TurnRecord

__all__ = ["CallEnd", "CallStart", "Journal", "NoteRecord", "ServiceRecord", "TurnRecord"]

log = structlog.get_logger(__name__)

_BATCH = 256  # jobs in one transaction


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[JournalFile], object]
    answer: asyncio.Future[Any] | None = None  # None: a write that nobody waits for


class Journal:
    """`async with Journal(path) as journal:`; SettingsError where the file cannot be used.

    Writes return once they are queued, in order; the queue is bounded and never drops: when it
    is full, writers wait. Leaving the block writes what is queued. A write that the disk
    refuses is logged and counted in `failed_writes`; calls go on.
    """

    def __init__(self, path: Path, *, capacity: int = 4096, lock_timeout_s: float = 5.0) -> None:
        self._path = path
        self._lock_timeout_s = lock_timeout_s
        self._room = asyncio.Semaphore(capacity)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.failed_writes = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="journal")
        self._thread.start()
        try:
            await asyncio.shield(opened)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stop()

    async def call_started(self, record: CallStart) -> None:
        """Open the call's entry."""
        await self._write(lambda file: file.call_started(record))

    async def turn(self, record: TurnRecord) -> None:
        """Add a turn."""
        await self._write(lambda file: file.turn(record))

    async def service(self, record: ServiceRecord) -> None:
        """Add a call-out."""
        await self._write(lambda file: file.service(record))

    async def note(self, record: NoteRecord) -> None:
        """Add a note."""
        await self._write(lambda file: file.note(record))

    async def notes(self, kind: str, limit: int = 50) -> list[dict[str, Any]]:
        """The latest notes of a kind ("task": what people have to do), newest first."""
        found: list[dict[str, Any]] = await self._read(lambda file: file.notes(kind, limit))
        return found

    async def call_ended(self, record: CallEnd) -> None:
        """Complete the call's entry."""
        await self._write(lambda file: file.call_ended(record))

    async def call(self, call_sid: str) -> dict[str, Any] | None:
        """All of one call, JSON-able, with `turns`, `services` and `notes`; None when unknown.

        `outcome` is None while the call is live, and "lost" where its process died.
        """
        found: dict[str, Any] | None = await self._read(lambda file: file.call(call_sid))
        return found

    async def calls(self, limit: int = 50) -> list[dict[str, Any]]:
        """The latest calls, newest first, without their turns."""
        found: list[dict[str, Any]] = await self._read(lambda file: file.calls(limit))
        return found

    # ------------------------------------------------------------ the event loop's side

    async def _write(self, work: Callable[[JournalFile], object]) -> None:
        await self._put(_Job(work))

    async def _read(self, work: Callable[[JournalFile], object]) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self._put(_Job(work, answer))
        return await answer

    async def _put(self, job: _Job) -> None:
        if self._thread is None:
            raise JournalClosed("the journal is not open")
        await self._room.acquire()
        self._jobs.put(job)

    async def _stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    # ------------------------------------------------------------ the writer thread's side

    def _run(self, opened: asyncio.Future[None]) -> None:
        try:
            file = JournalFile(self._path, lock_timeout_s=self._lock_timeout_s)
        except Exception as error:
            self._tell(_resolve, opened, None, error)
            return
        self._tell(_resolve, opened, None, None)
        try:
            while (batch := self._next_batch()) is not None:
                self._do(file, batch)
                self._tell(self._release, len(batch))
        finally:
            file.close()

    def _next_batch(self) -> list[_Job] | None:
        """What is queued, at least one job; None when the last one is done."""
        batch = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == _BATCH or self._jobs.empty():
                return batch
            job = self._jobs.get()
        if batch:
            self._jobs.put(None)
            return batch
        return None

    def _do(self, file: JournalFile, batch: list[_Job]) -> None:
        """In one transaction; where that fails, one by one, so that a bad job fails alone."""
        try:
            with file.transaction():
                answers = [job.work(file) for job in batch]
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    self._do(file, [job])
                return
            self._failed(batch[0], error)
            return
        for job, answer in zip(batch, answers, strict=True):
            if job.answer is not None:
                self._tell(_resolve, job.answer, answer, None)

    def _failed(self, job: _Job, error: Exception) -> None:
        if job.answer is not None:
            self._tell(_resolve, job.answer, None, error)
            return
        self.failed_writes += 1
        log.error("journal write failed", problem=type(error).__name__)

    def _release(self, count: int) -> None:
        for _ in range(count):
            self._room.release()

    def _tell(self, function: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        # RuntimeError: the loop closed first; nobody waits, and what is queued is still written.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)


def _resolve(future: asyncio.Future[Any], answer: object, error: Exception | None) -> None:
    if future.done():  # its waiter was cancelled
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)

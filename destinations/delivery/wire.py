"""How calls get onto the wire: one by one, or side by side in threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol

from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport


class Wire(Protocol):
    """Carries calls; what came of them is fetched by the thread that started them."""

    def start(self, number: int, request: Request, timeout: float) -> None:
        """Begin a call."""
        ...

    def finished(self, seconds: float | None) -> tuple[int, Response | Failed] | None:
        """Return the next call that ended; None after so many seconds, never if None is given."""
        ...

    def close(self) -> None:
        """Close the connections; an answer that is still out is not waited for."""
        ...


@dataclass(frozen=True, slots=True)
class OneByOne:
    """Makes each call at once, in the thread that starts it."""

    transport: Transport
    _done: list[tuple[int, Response | Failed]] = field(default_factory=list)

    def start(self, number: int, request: Request, timeout: float) -> None:
        """Make the call and keep its answer."""
        self._done.append((number, self.transport.send(request, timeout=timeout)))

    def finished(self, seconds: float | None) -> tuple[int, Response | Failed] | None:  # noqa: ARG002 - as `Wire` asks
        """Return the answer that came first."""
        return self._done.pop(0) if self._done else None

    def close(self) -> None:
        """Close the connection."""
        self.transport.close()


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Makes calls in threads, as many as there are calls at a time, each with its own connection.

    They are daemons: a process that has to go does not wait for an endpoint that is silent.
    `transport` is the connection of the first; the others open their own.
    """

    transport: Transport
    open_transport: Callable[[], Transport]
    _calls: SimpleQueue[tuple[int, Request, float] | None] = field(default_factory=SimpleQueue)
    _done: SimpleQueue[tuple[int, Response | Failed | BaseException]] = field(
        default_factory=SimpleQueue
    )
    _out: set[int] = field(default_factory=set)
    _threads: list[Thread] = field(default_factory=list)

    def start(self, number: int, request: Request, timeout: float) -> None:
        """Hand the call to a thread that has none, or to a new one."""
        self._out.add(number)
        if len(self._out) > len(self._threads):
            mine = self.open_transport() if self._threads else self.transport
            thread = Thread(target=self._work, args=(mine,), daemon=True)
            self._threads.append(thread)
            thread.start()
        self._calls.put((number, request, timeout))

    def finished(self, seconds: float | None) -> tuple[int, Response | Failed] | None:
        """Return the next answer; what a call raised is raised here."""
        try:
            number, answer = self._done.get(timeout=seconds)
        except Empty:
            return None
        self._out.discard(number)
        if isinstance(answer, BaseException):
            raise answer
        return number, answer

    def close(self) -> None:
        """Let each thread close its connection and end, once it has no call."""
        if not self._threads:
            self.transport.close()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads if not self._out else ():
            thread.join()

    def _work(self, transport: Transport) -> None:
        while (call := self._calls.get()) is not None:
            number, request, timeout = call
            try:
                self._done.put((number, transport.send(request, timeout=timeout)))
            except BaseException as error:  # noqa: BLE001 - raised again by `finished`
                self._done.put((number, error))
        transport.close()

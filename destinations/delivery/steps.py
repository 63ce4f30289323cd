"""Several requests on the wire, one thread that decides: tasks take turns while answers are out.

A task is a generator: it yields a `Call` and is handed the answer, or a `Pause` and is woken.
Journal, limiter and warehouse are only touched between two of these, by the thread that runs the
tasks, so that nothing in them needs a lock and a test decides the order of all that happens.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from destinations.base import Kind, Request, Response
from destinations.clock import Clock
from destinations.delivery.transport import Failed
from destinations.delivery.wire import Wire


class Incomplete(Exception):  # noqa: N818 - an ending, not a mistake
    """The destination is not answering: what is left waits for the next run."""


class Stopped(Exception):  # noqa: N818 - an ending, not a mistake
    """The destination refuses the account or the route; no row was rejected for it."""


@dataclass(slots=True)
class Ending:
    """Whether an end was `asked` for from outside; `sending` tells that it is worth waiting for."""

    asked: bool = False
    sending: bool = False


@dataclass(slots=True)
class Halt:
    """Whether to make no further request: somebody asked to end, or a task had to."""

    ending: Ending
    error: Incomplete | Stopped | None = None

    def __bool__(self) -> bool:
        return self.ending.asked or self.error is not None


@dataclass(frozen=True, slots=True)
class Call:
    """Put a request on the wire; the task is resumed with what came of it."""

    request: Request
    timeout: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Resume the task after that many seconds, or at once when there is a halt."""

    seconds: float


T = TypeVar("T")
Steps = Generator[Call | Pause, Response | Failed | None, T]


def answer_to(request: Request, timeout: float) -> Steps[Response | Failed]:
    """Send a request and return what came of it."""
    answer = yield Call(request, timeout)
    assert answer is not None  # noqa: S101 - a call is resumed with its answer
    return answer


@dataclass(frozen=True, slots=True)
class _Turns:
    wire: Wire
    clock: Clock
    halt: Halt
    idle: Callable[[], None]
    out: dict[int, Steps[None]] = field(default_factory=dict)
    asleep: list[tuple[float, int, Steps[None]]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def busy(self) -> int:
        return len(self.out) + len(self.asleep)

    def resume(self, task: Steps[None], answer: Response | Failed | None) -> None:
        try:
            step = task.send(answer)
        except StopIteration:
            return
        except (Incomplete, Stopped) as error:
            # What needs a person outweighs what the next run mends by itself.
            if self.halt.error is None or isinstance(error, Stopped):
                self.halt.error = error
            return
        number = next(self.numbers)
        if isinstance(step, Call):
            self.out[number] = task
            self.wire.start(number, step.request, step.timeout)
        else:
            heapq.heappush(self.asleep, (self.clock.monotonic() + step.seconds, number, task))

    def turn(self) -> None:
        """Wait for what comes first, an answer or the end of a pause, and resume its task."""
        wait = self._wait()
        if wait != 0.0:
            self.idle()
        if self.out and wait != 0.0:
            done = self.wire.finished(wait)
            if done:
                self.resume(self.out.pop(done[0]), done[1])
            return
        if wait:
            self.clock.sleep(wait)
        self.resume(heapq.heappop(self.asleep)[2], None)

    def _wait(self) -> float | None:
        """Return the seconds until a task has to be woken, None if all wait for answers."""
        if not self.asleep:
            return None
        return 0.0 if self.halt else max(0.0, self.asleep[0][0] - self.clock.monotonic())


def run(
    tasks: Iterator[tuple[Kind, Steps[None]]],
    most: Callable[[Kind], int],
    *,
    wire: Wire,
    clock: Clock,
    halt: Halt,
    idle: Callable[[], None] = lambda: None,
) -> None:
    """Run tasks in order, of one kind at most so many at a time.

    Once there is a halt, or `tasks` fails, no further task begins; those under way are finished.
    `idle` is called before waiting for an answer or for time to pass, and at the end.

    Raises:
        Incomplete: a task said so, or somebody asked to end before all tasks had begun.
        Stopped: a task said so.
    """
    turns = _Turns(wire, clock, halt, idle)
    failed: Exception | None = None
    kind, waiting, more = None, None, True
    while True:
        if more and waiting is None and not halt:
            try:
                waiting = next(tasks, None)
            except Exception as error:  # noqa: BLE001 - raised below, once nothing is on the wire
                failed = error
            more = waiting is not None
        if waiting and not halt and _fits(turns.busy, waiting[0], kind, most):
            (kind, task), waiting = waiting, None
            turns.resume(task, None)
        elif turns.busy:
            turns.turn()
        else:
            break
    idle()
    if ended := failed or halt.error:
        raise ended
    if more:
        raise Incomplete("asked to end")


def _fits(busy: int, wanted: Kind, current: Kind | None, most: Callable[[Kind], int]) -> bool:
    return busy == 0 or (wanted is current and busy < most(wanted))

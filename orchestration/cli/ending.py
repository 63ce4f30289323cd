"""What SIGTERM does: requests on the wire are finished and recorded, within ten seconds.

A process manager asks with SIGTERM and kills some time later. Whatever is not answered by then is
sent again by the next run, with the same bytes; an answer that came is never lost.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

from destinations.clock import SystemClock
from destinations.delivery.steps import Ending

SECONDS_TO_END = 10
INCOMPLETE = 4


def end_on_sigterm(ending: Ending, clock: SystemClock) -> None:
    """From now on let SIGTERM end a run in good order, if it is sending.

    If it is not, nothing is on its way: the run is broken off like one that is interrupted.
    """

    def asked(number: int, frame: FrameType | None) -> None:
        if not ending.sending:
            signal.default_int_handler(number, frame)
        ending.asked = True
        signal.alarm(SECONDS_TO_END)
        clock.wake()

    signal.signal(signal.SIGALRM, _leave)
    signal.signal(signal.SIGTERM, asked)


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
    os._exit(INCOMPLETE)

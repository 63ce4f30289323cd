"""Runs the real command line in a process that dies, or stops, at a named point.

    python -m tests.crash.mortal POINT TIMES VERB ARGUMENT...

`--serve` imports everything once and then forks a process per order, one at a time: each opens
journal and warehouse for itself. Orders come in on stdin and their fate goes out on stdout, one
JSON object a line; a bare number is the signal that the process of the last order is sent.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from traceback import print_exc
from typing import Any, BinaryIO, NoReturn

from destinations import iterable
from orchestration.cli import common, main
from tests.crash.points import arm
from tests.support.clocks import SharedClock

WARM = (
    "duckdb", "orchestration.setup", "orchestration.activate", "orchestration.cli.render",
    "orchestration.warehouse.duckdb", "orchestration.preview", "requests",
)  # fmt: skip
LOOK_SECONDS = 0.002


def live(arguments: list[str]) -> NoReturn:
    """Be `tailrace` with these arguments, under the clock and rows per request of the tests."""
    rows, clock = os.environ.get("MORTAL_ROWS"), os.environ.get("MORTAL_CLOCK")
    for kind, endpoint in list(iterable._ENDPOINTS.items()) if rows else ():
        iterable._ENDPOINTS[kind] = replace(endpoint, max_rows=int(rows or 0))
    if clock:
        common.SystemClock = lambda: SharedClock(Path(clock))
    sys.argv = ["tailrace", *arguments]
    main()
    sys.exit()


def serve(orders: BinaryIO) -> None:
    for module in WARM:
        import_module(module)
    while line := orders.readline():
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _be(order)
        _say({"pid": pid})
        _attend(pid, orders)


def _be(order: dict[str, Any]) -> NoReturn:
    code = 1
    try:
        for number, name in enumerate(("/dev/null", order["out"], order["err"])):
            opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, number)
        os.environ.update(order["environment"])
        if order["point"]:
            arm(order["point"], order["times"], order["signal"])
        live(order["arguments"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except Exception:  # noqa: BLE001 - whatever it is, the test has to see it
        print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _attend(pid: int, orders: BinaryIO) -> None:
    """Pass signals on to a process until it has ended; only here its end is taken note of."""
    while True:
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if found and not os.WIFSTOPPED(status):
            _say({"ended": os.waitstatus_to_exitcode(status)})
            return
        if found:
            _say({"stopped": True})
        if select.select([orders], [], [], LOOK_SECONDS)[0]:
            os.kill(pid, int(orders.readline() or signal.SIGKILL))


def _say(shape: dict[str, Any]) -> None:
    os.write(1, json.dumps(shape).encode() + b"\n")


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        with open(0, "rb", buffering=0) as stdin:
            serve(stdin)
    else:
        arm(sys.argv[1], int(sys.argv[2]))
        live(sys.argv[3:])

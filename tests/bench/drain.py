"""How much of a declared limit is used, and whether it is ever overstepped.

Processes of their own take permits of one journal and make one small request for each, over a bare
socket: the sending itself would be the bottleneck long before the limiter. The endpoint keeps the
vendor's window as requests arrive.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from destinations.base import Window
from destinations.delivery.limiter import paced
from tests.bench import endpoint, job
from tests.bench.worker import open_account

RATES = ((5, 1.0), (10, 1.0), (500, 1.0), (2000, 1.0), (3000, 3.0))
PROCESSES = (1, 4, 8)
TO_TWO_SYNCS = (5.0, 1.0)


def drain(seconds: float, rates: Any = RATES, processes: Any = PROCESSES) -> list[dict[str, Any]]:
    """Drain each limit by each number of processes, for so long after the first window."""
    with endpoint.running() as url:
        return [
            _drained(url, Window(*rate), count, seconds) for rate in rates for count in processes
        ]


def _drained(url: str, window: Window, count: int, seconds: float) -> dict[str, Any]:
    endpoint.begin(url, requests=window.requests, seconds=window.seconds)
    with tempfile.TemporaryDirectory() as name:
        journal = Path(name) / "journal.sqlite"
        open_account(journal).close()
        given = [journal, url, window.requests, window.seconds, window.seconds + seconds]
        command = [sys.executable, "-m", "tests.bench.worker", *map(str, given)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        workers = [subprocess.Popen(command, text=True, **pipes) for _ in range(count)]
        for worker in workers:
            worker.stdout.readline()
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            worker.communicate()
            assert worker.returncode == 0
    return {"processes": count, **used(url, window)}


def used(url: str, window: Window) -> dict[str, Any]:
    """Return the share of the safe ceiling that was used once the first window was over."""
    seen = endpoint.seen(url)
    times = [at for at in seen["arrivals"] if at >= seen["arrivals"][0] + window.seconds]
    ceiling = 1 / paced((window,)).spacing
    rate = (len(times) - 1) / (times[-1] - times[0])
    return {
        "requests": window.requests,
        "seconds": window.seconds,
        "per_second": rate,
        "ceiling": ceiling,
        "share": rate / ceiling,
        "throttled": seen["throttled"],
    }


def two_syncs(rows: int, rate: tuple[float, float] = TO_TWO_SYNCS) -> dict[str, Any]:
    """Deliver two syncs of one account by two processes, each in 1,000 rows a request."""
    window = Window(*rate)
    with tempfile.TemporaryDirectory() as name, endpoint.running() as url:
        folder = Path(name)
        job.run("fill", folder, url, rows=rows)
        for sync in ("traits", "again"):
            job.run("plan", folder, url, sync=sync)
        endpoint.begin(url, requests=window.requests, seconds=window.seconds)
        limit = {"requests": window.requests, "seconds": window.seconds}
        jobs = [
            job.start("deliver", folder, url, sync=sync, **limit) for sync in ("traits", "again")
        ]
        told = [job.json.loads(one.communicate()[0]) for one in jobs]
        assert [one["rows"] for one in told] == [rows, rows], told
        return {"syncs": 2, **used(url, window)}

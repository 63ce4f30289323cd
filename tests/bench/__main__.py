"""`make bench`: what delivery costs, beside other tools on the same rows and the same endpoint.

Figures of one run on one machine: read the ratios, not the seconds. A part by itself:
`python -m tests.bench drain`. Sizes are in the environment: ROWS, MEMORY_ROWS, SECONDS.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from tests.bench import report
from tests.bench.drain import drain, two_syncs
from tests.bench.sends import memory, sends
from tests.bench.single import single

ROWS = int(os.environ.get("ROWS", "1000000"))
MEMORY_ROWS = os.environ.get("MEMORY_ROWS", "100000,1000000,10000000")
SECONDS = float(os.environ.get("SECONDS", "10"))

PARTS: dict[str, Callable[[], Any]] = {
    "sends": lambda: sends(ROWS),
    "drain": lambda: drain(SECONDS),
    "two_syncs": lambda: two_syncs(round(SECONDS * 4) * 1_000),
    "single": lambda: single(SECONDS / 5),
    "memory": lambda: {rows: memory(int(rows)) for rows in MEMORY_ROWS.split(",")},
}


def main() -> None:
    told: dict[str, Any] = {}
    for part in sys.argv[1:] or PARTS:
        told[part] = PARTS[part]()
        print("\n".join(report.LINES[part](told[part])), flush=True)
    print(json.dumps(told))


if __name__ == "__main__":
    main()

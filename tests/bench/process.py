"""A piece of work in a process of its own, so that its memory and processor time are its own."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def peak_mb() -> float:
    """Of this program alone: what `getrusage` tells begins with the process that started it."""
    found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def run_module(module: str, *arguments: str) -> dict[str, Any]:
    """Run `python -m module` and return the JSON that is its last line of output."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def tell(told: dict[str, Any]) -> None:
    """Say what was measured, and this program's memory and processor time, for run_module."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    print(json.dumps({**told, "peak_mb": peak_mb(), "cpu_seconds": cpu}))

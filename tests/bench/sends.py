"""Plan and deliver the same rows with each tool; ratios of one run."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import endpoint, job
from tests.bench.rows import copied

ROOT = Path(__file__).resolve().parents[2]
COMPETITOR = ROOT / ".bench"
WAYS = ("template", "struct", "json")
MISSING = "drt-core is not installed (make .bench/ready): not compared with it"


def sends(rows: int, *, competitor: bool = True) -> dict[str, Any]:
    """Measure traits and events with tailrace, and the traits with the others."""
    with tempfile.TemporaryDirectory() as name, endpoint.running() as url:
        folder = Path(name)
        job.run("fill", folder, url, rows=rows, events=rows)
        source = copied(folder)
        told = {
            "rows": rows,
            "traits": _sent(folder, url, "traits", rows),
            "events": _sent(folder, url, "events", rows),
            "loop": _checked(url, rows, lambda: job.run("loop", folder, url)),
        }
        if competitor and (COMPETITOR / "ready").exists():
            for way in WAYS:
                told[f"drt {way}"] = _checked(url, rows, lambda w=way: _drt(source, url, w))
        elif competitor:
            print(MISSING, flush=True)
    return told


def _sent(folder: Path, url: str, sync: str, rows: int) -> dict[str, Any]:
    plan = job.run("plan", folder, url, sync=sync)
    deliver = _checked(url, rows, lambda: job.run("deliver", folder, url, sync=sync))
    return {"plan": plan, "deliver": deliver, "seconds": plan["seconds"] + deliver["seconds"]}


def _checked(url: str, rows: int, send: Any) -> dict[str, Any]:
    """Send, and see that the endpoint has every row and nothing more."""
    endpoint.begin(url)
    told = dict(send())
    arrived = endpoint.seen(url)["rows"]
    assert told["rows"] == arrived == rows, (told, arrived)
    return told


def _drt(source: Path, url: str, way: str) -> dict[str, Any]:
    script = Path(__file__).with_name("competitor.py")
    command = [COMPETITOR / "bin" / "python", "-P", script, source, url, way]
    env = {**os.environ, "HOME": str(source.parent), "DO_NOT_TRACK": "1", "DRT_TELEMETRY": "0"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return dict(job.json.loads(ran.stdout))


def memory(rows: int) -> dict[str, Any]:
    """Deliver that many ops, planned by another process, and tell the peak of the process."""
    with tempfile.TemporaryDirectory() as name, endpoint.running() as url:
        folder = Path(name)
        job.run("fill", folder, url, rows=rows)
        job.run("plan", folder, url, sync="traits")
        return _checked(url, rows, lambda: job.run("deliver", folder, url, sync="traits"))

"""Threads share heaps, so that what a delivery frees is used again."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.memory import HEAPS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import ctypes, sys, threading
from orchestration.memory import keep_to_few_heaps

if sys.argv[1] == "few":
    keep_to_few_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(8)

def work():
    together.wait()
    libc.malloc(4096)
    together.wait()

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fopen.restype = ctypes.c_void_p
out = libc.fopen(b"/dev/stdout", b"w")
libc.malloc_info(0, ctypes.c_void_p(out))
libc.fflush(ctypes.c_void_p(out))
"""


def heaps(how: str, **environment: str) -> int:
    env = {**os.environ, **environment}
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, how],
        capture_output=True, text=True, check=True, cwd=ROOT, env=env,
    ).stdout  # fmt: skip
    return len(re.findall(r"<heap nr=", told))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc")
def test_threads_share_heaps() -> None:
    assert heaps("many") > HEAPS
    assert heaps("few") <= HEAPS
    assert heaps("few", MALLOC_ARENA_MAX="4") > HEAPS

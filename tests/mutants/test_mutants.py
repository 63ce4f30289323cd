"""Take one safety mechanism away at a time: a named test must fail for each.

`make mutants` does it, a few seconds each; always checked is that the list fits the code.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("dbt_project", "destinations", "orchestration", "tests", "pyproject.toml", "README.md")
LINKED = ("data",)
LONG = bool(os.environ.get("TAILRACE_LONG") or os.environ.get("MUTANTS"))
NAMES = [mutant.mechanism.replace(" ", "-") for mutant in MUTANTS]


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_the_list_fits_the_code(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1, "exactly one place holds the mechanism"
    file, _, name = mutant.test.partition("::")
    tests = (ROOT / file).read_text(encoding="utf-8")
    assert not name or re.search(rf"^def {name}\(", tests, re.MULTILINE)


@pytest.mark.skipif(not LONG, reason="`make mutants`")
@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_a_test_notices(tmp_path: Path, mutant: Mutant) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "mutants", "target", "logs")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path / name)
    for name in LINKED:
        (tmp_path / name).symlink_to(ROOT / name)
    changed = tmp_path / mutant.file
    text = changed.read_text(encoding="utf-8")
    changed.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider"]
    environment = {key: value for key, value in os.environ.items() if key != "TAILRACE_LONG"}
    ran = subprocess.run(
        [*command, mutant.test],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, f"nothing noticed\n{ran.stdout[-2000:]}{ran.stderr[-1000:]}"
    assert " failed" in ran.stdout

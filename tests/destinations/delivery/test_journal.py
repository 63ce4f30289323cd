from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from destinations.base import Outcome, Status
from destinations.delivery.journal import Journal
from destinations.delivery.opening import open_journal
from destinations.delivery.ranges import Claim
from destinations.errors import ConfigError, LockedError, StorageError
from tests.conftest import FakeClock

REJECTED = Outcome(Status.REJECTED, "bad_address", "email", "not an address")
LATER = Outcome(Status.LATER, "quota")
SHA = "0" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "iterable.sqlite"


@pytest.fixture
def journal(path: Path, clock: FakeClock) -> Iterator[Journal]:
    opened = opening(path, clock)
    yield opened
    opened.close()


def opening(
    path: Path,
    clock: FakeClock,
    warehouse: str = "w1",
    known: str | None = None,
    new: bool = False,
    epoch: int = 0,
) -> Journal:
    return open_journal(
        path, warehouse_id=warehouse, known_id=known, known_epoch=epoch, clock=clock, new=new
    )


def test_a_claim_is_open_until_it_is_settled(journal: Journal) -> None:
    claim = journal.claim("p1", 1, 10, "track", SHA)
    assert journal.claims("p1") == [Claim(claim, 1, 10, 1, "track", None, SHA)]
    assert journal.unexported() == ([], [])
    journal.settle(claim, "delivered", 200)
    at = FakeClock().start.timestamp()
    assert journal.claims("p1") == [Claim(claim, 1, 10, 1, "track", "delivered", SHA, 200, at)]


def test_attempts_rise_where_ranges_overlap_and_nowhere_else(journal: Journal) -> None:
    ranges = [(1, 10), (11, 20), (1, 10), (1, 5), (6, 10), (10, 11), (21, 21), (5, 5)]
    for seq_from, seq_to in ranges:
        journal.claim("p1", seq_from, seq_to, "track", SHA)
    journal.claim("p2", 1, 10, "track", SHA)
    attempts = [claim.attempt for claim in sorted(journal.claims("p1"))]
    assert attempts == [1, 1, 2, 3, 3, 4, 1, 4]
    assert [claim.attempt for claim in journal.claims("p2")] == [1]


def test_a_claim_costs_the_same_however_many_came_before(journal: Journal) -> None:
    """Steps of SQLite, not time: with the claims before it looked at, a long plan never ends."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    def cost(first: int, last: int) -> int:
        before = steps
        for seq in range(first, last):
            journal.settle(journal.claim("p1", seq, seq, "track", SHA), "delivered", 200)
        return steps - before

    journal._con.set_progress_handler(step, 1)
    early, _, late = cost(1, 11), cost(11, 500), cost(500, 510)
    assert 0 < late < 1.5 * early


def test_exceptions_leave_with_the_receipt_of_their_claim(
    journal: Journal, clock: FakeClock
) -> None:
    claim = journal.claim("p1", 1, 10, "track", SHA)
    clock.sleep(2.5)
    journal.settle(claim, "delivered", 200, {3: REJECTED, 7: LATER})
    receipts, failures = journal.unexported()
    now = clock.now().timestamp()
    assert receipts == [(claim, "p1", 1, 10, 1, "delivered", 200, now, None)]
    assert failures == [
        (claim, "p1", 3, "rejected", "bad_address", "email", "not an address", now),
        (claim, "p1", 7, "later", "quota", "", "", now),
    ]


def test_exporting_twice_is_exporting_once(journal: Journal) -> None:
    first = journal.claim("p1", 1, 10, "track", SHA)
    journal.settle(first, "delivered", 200, {3: REJECTED})
    exported = journal.unexported()
    second = journal.claim("p1", 11, 20, "track", SHA)
    journal.settle(second, "delivered", 200, {11: LATER})
    for _ in range(2):
        journal.mark_exported(*exported)
        receipts, failures = journal.unexported()
        assert [receipt.claim_id for receipt in receipts] == [second]
        assert [failure.seq for failure in failures] == [11]
    journal.mark_exported(receipts, failures)
    assert journal.unexported() == ([], [])


def test_what_is_unexported_is_of_one_instant(
    journal: Journal, path: Path, clock: FakeClock
) -> None:
    """A failure never comes without its receipt, whatever another process commits meanwhile."""
    other = opening(path, clock)

    def settle_meanwhile(statement: str) -> None:
        if "from exceptions" in statement:  # between the two questions
            claim = other.claim("p1", 1, 1, "track", SHA)
            other.settle(claim, "delivered", 200, {1: REJECTED})
            other.write()

    journal._con.set_trace_callback(settle_meanwhile)
    receipts, failures = journal.unexported()
    journal._con.set_trace_callback(None)
    known = {receipt.claim_id for receipt in receipts}
    assert {failure.claim_id for failure in failures} <= known
    assert len(journal.unexported()[0]) == 1
    other.close()


def test_what_is_settled_is_written_with_the_next_claim(
    journal: Journal, path: Path, clock: FakeClock
) -> None:
    """In one commit: who reads the file sees both or neither."""
    first = journal.claim("p1", 1, 1, "track", SHA)
    journal.settle(first, "delivered", 200, {1: REJECTED})
    with closing(opening(path, clock)) as other:
        assert [claim.outcome for claim in other.claims("p1")] == [None]
        journal.claim("p1", 2, 2, "track", SHA)
        assert [claim.outcome for claim in other.claims("p1")] == ["delivered", None]
        assert len(other.unexported()[1]) == 1


@pytest.mark.parametrize("ask", ["write", "claims", "unexported"])
def test_what_is_settled_is_written_when_it_is_asked_for(
    journal: Journal, path: Path, clock: FakeClock, ask: str
) -> None:
    journal.settle(journal.claim("p1", 1, 1, "track", SHA), "delivered", 200)
    getattr(journal, ask)(*["p1"] * (ask == "claims"))
    with closing(opening(path, clock)) as other:
        assert [claim.outcome for claim in other.claims("p1")] == ["delivered"]


def test_what_is_settled_outlives_a_transaction_that_fails(journal: Journal) -> None:
    journal.settle(journal.claim("p1", 1, 1, "track", SHA), "delivered", 200)
    with pytest.raises(sqlite3.IntegrityError), journal.transaction() as con:
        con.executemany("insert into budget values (?, 1.0)", [("/bulk",), ("/bulk",)])
    assert [claim.outcome for claim in journal.claims("p1")] == ["delivered"]


def test_a_transaction_that_fails_leaves_nothing(journal: Journal) -> None:
    with pytest.raises(sqlite3.IntegrityError), journal.transaction() as con:
        con.executemany("insert into budget values (?, 1.0)", [("/bulk",), ("/bulk",)])
    with journal.transaction() as con:
        assert con.execute("select count(*) from budget").fetchone() == (0,)


def test_directory_and_files_are_the_owners_alone(journal: Journal, path: Path) -> None:
    journal.claim("p1", 1, 1, "track", SHA)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = sorted(path.parent.iterdir())
    assert {file.name for file in files} >= {path.name, f"{path.name}-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_commits_are_durable_and_deletes_leave_no_trace(journal: Journal) -> None:
    pragmas = {
        name: journal._con.execute(f"pragma {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "secure_delete")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}


CHILD = """
import sys
from pathlib import Path
from destinations.clock import SystemClock
from destinations.delivery.opening import open_journal
journal = open_journal(Path(sys.argv[1]), warehouse_id="w1", known_id=None, clock=SystemClock())
print(journal.claim("p1", 1, 10, "track", "0" * 64), flush=True)
with journal.transaction() as con:
    con.execute("update claims set outcome = 'delivered'")
    print("in a transaction", flush=True)
    sys.stdin.read()
"""


def child(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_claim_survives_the_kill_of_its_process(path: Path, clock: FakeClock) -> None:
    with child(path) as process:
        assert process.stdout
        claim = int(process.stdout.readline())
        assert process.stdout.readline() == "in a transaction\n"
        process.send_signal(signal.SIGKILL)
    journal = opening(path, clock)
    assert journal.claims("p1") == [Claim(claim, 1, 10, 1, "track", None, SHA)]
    journal.claim("p1", 1, 10, "track", SHA)
    assert [found.attempt for found in sorted(journal.claims("p1"))] == [1, 2]
    journal.close()


def test_processes_that_open_it_first_at_once_get_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "state" / "iterable.sqlite"
    processes = [child(path) for _ in range(3)]
    for process in processes:
        # Each holds the write lock until its input ends; the next one waits for it.
        assert process.stdin
        process.stdin.close()
    claims = set()
    for process in processes:
        assert process.stdout
        claims.add(int(process.stdout.read().splitlines()[0]))
        process.stdout.close()
        assert process.wait(30) == 0
    assert claims == {1, 2, 3}


def test_the_id_stays(path: Path, clock: FakeClock) -> None:
    first = opening(path, clock)
    first.close()
    again = opening(path, clock, known=first_id(path))
    assert again.journal_id == first_id(path)
    again.close()


def first_id(path: Path) -> str:
    con = sqlite3.connect(path)
    (found,) = con.execute("select value from meta where key = 'journal_id'").fetchone()
    con.close()
    return str(found)


def refused(path: Path, clock: FakeClock, *words: str, **how: object) -> None:
    with pytest.raises(ConfigError) as raised:
        opening(path, clock, **how)
    for word in (path.name, "--new-journal", *words):
        assert word in raised.value.message
    assert raised.value.file == path.name


def test_a_lost_journal_is_refused_with_what_to_do(path: Path, clock: FakeClock) -> None:
    refused(path, clock, "is gone", "Restore it", "duplicates", known="j1")
    assert not path.exists(), "an empty file would look like a journal"


def test_an_emptied_journal_is_refused(path: Path, clock: FakeClock) -> None:
    path.parent.mkdir()
    path.touch()
    refused(path, clock, "not the one", "TAILRACE_STATE_DIR", known="j1")


def test_the_journal_of_another_warehouse_is_refused(path: Path, clock: FakeClock) -> None:
    opening(path, clock, warehouse="w2").close()
    refused(path, clock, "another warehouse", "TAILRACE_STATE_DIR")
    refused(path, clock, "another warehouse", known=first_id(path))


def test_a_replaced_journal_is_refused(path: Path, clock: FakeClock) -> None:
    opening(path, clock).close()
    refused(path, clock, "not the one", known="another")


def test_a_journal_of_another_format_is_refused(path: Path, clock: FakeClock) -> None:
    opening(path, clock).close()
    con = sqlite3.connect(path)
    con.execute("update meta set value = '99' where key = 'schema_version'")
    con.commit()
    con.close()
    refused(path, clock, "99", "version")


@pytest.mark.parametrize("content", [b"this is not a journal" * 100, b"SQLite format 3\0" * 60])
def test_a_file_that_is_no_journal_is_refused(path: Path, clock: FakeClock, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    refused(path, clock, "cannot be read", known="j1")
    assert path.read_bytes() == content


def test_a_new_journal_keeps_the_old_one_aside(path: Path, clock: FakeClock) -> None:
    olds = []
    for number in range(3):  # within one second of the clock
        old = opening(path, clock, new=number > 0)
        old.claim(f"p{number}", 1, 1, "track", SHA)
        olds.append(old.journal_id)
        if number != 1:
            old.close()  # the second one dies: its claim is in the write-ahead log alone
    fresh = opening(path, clock, new=True, known=olds[-1])
    assert fresh.journal_id not in olds
    assert [fresh.claims(f"p{number}") for number in range(3)] == [[], [], []]
    fresh.close()
    aside = {first_id(file) for file in path.parent.glob("iterable.*.sqlite")}
    assert aside == set(olds)


def test_a_new_journal_may_take_the_place_of_a_lost_or_foreign_one(
    path: Path, clock: FakeClock
) -> None:
    opening(path, clock, new=True, known="lost").close()
    opening(path, clock, warehouse="w2", new=True).close()
    opening(path, clock, warehouse="w2", known=first_id(path)).close()


def test_a_new_journal_takes_the_place_of_an_unreadable_one(path: Path, clock: FakeClock) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a journal" * 100)
    opening(path, clock, new=True, known="j1").close()
    assert len(list(path.parent.glob("iterable.*.sqlite"))) == 1


def test_an_older_copy_is_refused_and_a_newer_one_is_not(path: Path, clock: FakeClock) -> None:
    journal = opening(path, clock)
    assert [journal.raise_epoch(), journal.raise_epoch()] == [1, 2]
    journal.close()
    refused(path, clock, "older copy", "newer one", "duplicates", known=first_id(path), epoch=3)
    for told in (0, 1, 2):  # it died before it could tell, or all is well
        opening(path, clock, known=first_id(path), epoch=told).close()
    opening(path, clock, known=first_id(path), epoch=3, new=True).close()
    with closing(opening(path, clock)) as fresh:
        assert fresh.epoch == 0, "a new journal counts anew"


def test_a_journal_from_before_there_were_epochs_gets_one(path: Path, clock: FakeClock) -> None:
    opening(path, clock).close()
    with closing(sqlite3.connect(path)) as con, con:
        con.execute("delete from meta where key = 'epoch'")
    with closing(opening(path, clock)) as journal:
        assert (journal.epoch, journal.raise_epoch(), journal.epoch) == (0, 1, 1)


def test_who_makes_it_waits_for_another_that_does(path: Path) -> None:
    """SQLite itself does not wait for who switches to the write-ahead log at the same time."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("create table before (n)")
        other.execute("begin immediate")

        class Waiting(FakeClock):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                if other.in_transaction:
                    other.execute("rollback")

        clock = Waiting()
        with closing(opening(path, clock)) as journal:
            assert journal.claims("p1") == []
        assert clock.slept


def test_a_journal_that_cannot_be_written_says_what_to_see_to(
    journal: Journal, path: Path, clock: FakeClock
) -> None:
    journal._con.execute("pragma query_only = on")
    with pytest.raises(StorageError, match=r"readonly.*see to the disk of TAILRACE_STATE_DIR"):
        journal.claim("p", 1, 2, "identify", SHA)
    folder = path.with_name("braze.sqlite")
    folder.mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        opening(folder, clock)


def test_a_journal_in_use_for_too_long_says_so(journal: Journal, path: Path) -> None:
    journal._con.execute("pragma busy_timeout = 0")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(LockedError, match="in use by another process"):
            journal.claim("p", 1, 2, "identify", SHA)
        other.execute("rollback")
    assert journal.claim("p", 1, 2, "identify", SHA)

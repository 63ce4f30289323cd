"""Each safety mechanism of the delivery, how to take it away, and the test that notices."""

from __future__ import annotations

from typing import NamedTuple

DELIVERY = "destinations/delivery"
TESTS = "tests/destinations/delivery"


class Mutant(NamedTuple):
    """In `file`, `old` becomes `new`; then `test` must fail."""

    mechanism: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = (
    Mutant(
        "a claim is committed before the first byte",
        f"{DELIVERY}/sender.py",
        "claim = self.journal.claim(work.plan_id, span.seq_from, span.seq_to, kind, sha256)",
        "claim = -1",
        f"{TESTS}/test_sender_crashes.py::test_a_crash_at_each_point_in_turn",
    ),
    Mutant(
        "a commit reaches the disk",
        f"{DELIVERY}/opening.py",
        '"pragma synchronous = full"',
        '"pragma synchronous = normal"',
        f"{TESTS}/test_journal.py::test_commits_are_durable_and_deletes_leave_no_trace",
    ),
    Mutant(
        "an answer is settled by the connector's word, not by its status",
        f"{DELIVERY}/sender.py",
        "if outcomes.rest.code == UNREADABLE and 200 <= response.status < 300:",
        "if False:",
        f"{TESTS}/test_sender.py::test_an_unreadable_2xx_never_counts_as_delivered",
    ),
    Mutant(
        "a request that may have arrived keeps its boundaries",
        f"{DELIVERY}/ranges.py",
        'if claim.outcome in (None, "retry") and not _covered(bounds, done)',
        "if False",
        f"{TESTS}/test_sender.py::"
        "test_what_is_sent_again_is_the_same_bytes_whatever_the_limits_are_now",
    ),
    Mutant(
        "what is delivered is not sent again",
        f"{DELIVERY}/ranges.py",
        'if claim.outcome == "delivered"',
        "if False",
        f"{TESTS}/test_sender.py::test_nothing_left_is_nothing_sent",
    ),
    Mutant(
        "one row per dest_key where failures are named by identity",
        f"{DELIVERY}/batcher.py",
        "return endpoint.locates is Locates.IDENTITY and endpoint.one_per_key",
        "return False",
        f"{TESTS}/test_sender.py::"
        "test_no_user_comes_twice_in_a_request_that_names_failures_by_identity",
    ),
    Mutant(
        "who waits for a request in doubt stands apart",
        f"{DELIVERY}/batcher.py",
        "apart = (row.not_before > 0) is not (rows[0].not_before > 0)",
        "apart = False",
        "tests/orchestration/test_quiescence.py::"
        "test_a_later_word_waits_until_the_doubtful_one_is_over",
    ),
    Mutant(
        "a later word waits until the doubtful one is over",
        f"{DELIVERY}/sender.py",
        "wait = last - self.clock.now().timestamp() if last else 0.0",
        "wait = 0.0",
        "tests/orchestration/test_quiescence.py::"
        "test_a_later_word_waits_until_the_doubtful_one_is_over",
    ),
    Mutant(
        "doubt outlives the answer to a repeat",
        f"{DELIVERY}/calling.py",
        "if _in_doubt(answer):",
        "if False:",
        "tests/orchestration/test_quiescence.py::"
        "test_a_word_that_was_answered_on_its_repeat_may_still_come_late",
    ),
    Mutant(
        "doubt outlives a plan that was given up unsent",
        "orchestration/plan_store.py",
        "greatest(k.quiet_until, case when not n.reused then k.unsure_until end) as quiet_until",
        "k.quiet_until",
        "tests/orchestration/test_quiescence.py::test_a_plan_given_up_unsent_does_not_end_the_wait",
    ),
    Mutant(
        "what was refused on its repeat is unsure",
        "orchestration/acks.py",
        "    warehouse.execute(_REFUSED_IN_DOUBT)\n",
        "",
        "tests/orchestration/test_quiescence.py::"
        "test_what_was_refused_on_its_repeat_may_have_been_taken_before",
    ),
    Mutant(
        "what was on the wire of a plan given up is unsure",
        "orchestration/plan_store.py",
        "            warehouse.execute(_MARK_UNSURE, [naive_utc(unsure_until), plan.plan_id])\n",
        "",
        "tests/orchestration/test_quiescence.py::"
        "test_a_later_word_waits_until_the_doubtful_one_is_over",
    ),
    Mutant(
        "the fold copies receipts by replacing them",
        "orchestration/acks.py",
        "    delete from tailrace.receipts as r using tailrace_receipts as n\n"
        "    where r.plan_id = n.plan_id",
        "    delete from tailrace.receipts as r using tailrace_receipts as n\n"
        "    where false and r.plan_id = n.plan_id",
        "tests/orchestration/test_folds.py::test_copies_and_folds_repeated_change_nothing",
    ),
    Mutant(
        "nothing lowers a version that was acknowledged",
        "orchestration/acks.py",
        "    where d.op <> 'event' and d.version > coalesce(k.version_acked, 0)\n"
        "        and k.version_issued > coalesce(k.version_acked, 0)\n",
        "    where d.op <> 'event'\n",
        "tests/orchestration/test_unsure.py::test_nor_while_a_later_version_is_on_its_way",
    ),
    Mutant(
        "a plan is `delivering` before its first byte",
        "orchestration/delivering.py",
        '    set_status(warehouse, plan.plan_id, "delivering")\n',
        "",
        "tests/orchestration/test_unsure.py::"
        "test_a_value_that_is_as_before_is_said_again_if_another_may_have_arrived",
    ),
    Mutant(
        "a permit is taken before every attempt",
        f"{DELIVERY}/calling.py",
        "            yield from self._permit(claimed, began=began)\n",
        "            yield Pause(0.0)\n",
        f"{TESTS}/test_sender.py::test_every_attempt_takes_a_permit",
    ),
    Mutant(
        "the rate leaves room for what arrives late",
        f"{DELIVERY}/limiter.py",
        "JITTER_SECONDS = 0.1",
        "JITTER_SECONDS = 0.0",
        f"{TESTS}/test_limiter.py",
    ),
    Mutant(
        "a permit of a lot is void once the lot is over",
        f"{DELIVERY}/limiter.py",
        "self.since - CLOCK_STEP <= now <= last",
        "self.since - CLOCK_STEP <= now",
        f"{TESTS}/test_limiter.py",
    ),
    Mutant(
        "a permit that was slept through is not used",
        f"{DELIVERY}/calling.py",
        "            if self.clock.monotonic() <= late:\n                return\n",
        "            return\n",
        "tests/crash/test_stops.py",
    ),
    Mutant(
        "an endpoint that throttles one process is left alone by all",
        f"{DELIVERY}/calling.py",
        "            self.limiter.throttled(endpoint.path, endpoint, wait)\n",
        "            pass\n",
        f"{TESTS}/test_sender.py::test_nobody_waits_for_more_than_a_minute",
    ),
    Mutant(
        "an outage is kept for the runs to come",
        f"{DELIVERY}/calling.py",
        "            self.limiter.gave_up(endpoint.path, wait if too_long else 0.0)\n",
        "",
        f"{TESTS}/test_breaker.py::test_hours_of_outage_cost_few_calls",
    ),
    Mutant(
        "repeats have a budget",
        f"{DELIVERY}/calling.py",
        "            or health.retries < 0\n",
        "",
        f"{TESTS}/test_breaker.py::test_a_run_that_mostly_repeats_ends",
    ),
    Mutant(
        "a request that is wrong as such costs no row",
        f"{DELIVERY}/doubts.py",
        "if len(listed) >= MOST_DOUBTED:",
        "if False:",
        f"{TESTS}/test_doubts.py::test_a_request_that_is_wrong_as_such_costs_no_row",
    ),
    Mutant(
        "401 and 403 stop the account",
        f"{DELIVERY}/policy.py",
        "    401: Verdict.STOP,\n",
        "    401: Verdict.READ,\n",
        f"{TESTS}/test_sender.py::test_a_refused_account_rejects_no_row",
    ),
    Mutant(
        "who is suppressed while a plan is on its way is left out",
        f"{DELIVERY}/calling.py",
        "            if len(self.still(rows)) < len(rows):\n",
        "            if False:\n",
        "tests/orchestration/test_suppression.py",
    ),
    Mutant(
        "a journal of another warehouse is refused",
        f"{DELIVERY}/opening.py",
        "    if foreign or replaced:\n",
        "    if replaced:\n",
        f"{TESTS}/test_journal.py",
    ),
    Mutant(
        "a later request of an ordered plan waits for the one before",
        f"{DELIVERY}/sender.py",
        "lambda kind: 1 if self.ordered else",
        "lambda kind: 3 if self.ordered else",
        f"{TESTS}/test_in_flight.py::test_an_ordered_plan_has_one_request_in_flight",
    ),
    Mutant(
        "what was answered is written before waiting",
        f"{DELIVERY}/sender.py",
        "            idle=self.journal.write,\n",
        "",
        f"{TESTS}/test_in_flight.py::test_no_answer_waits_to_be_written_while_another_is_out",
    ),
    Mutant(
        "a slice of a plan is acknowledged by its place in that plan alone",
        "orchestration/acks.py",
        "where k.issued_plan = $plan and k.issued_seq between",
        "where k.issued_seq between",
        "tests/orchestration/test_folds.py",
    ),
    Mutant(
        "a slice is acknowledged as a whole only if all of it was delivered",
        "orchestration/acks.py",
        "_ACKNOWLEDGE_WHOLE if whole else _ACKNOWLEDGE",
        "_ACKNOWLEDGE_WHOLE",
        "tests/orchestration/test_folds.py::test_copies_and_folds_repeated_change_nothing",
    ),
    Mutant(
        "an op has the outcome of its last and narrowest receipt",
        "orchestration/warehouse/schema.py",
        "and coalesce(lead(seq_from) over in_order > seq_to, true)",
        "",
        "tests/orchestration/test_receipts.py",
    ),
    Mutant(
        "an answer is written at once where a repeat is a second event",
        f"{DELIVERY}/sender.py",
        "endpoint.dedup is not Dedup.NONE and ",
        "",
        f"{TESTS}/test_in_flight.py::test_an_answer_shares_a_commit_where_that_is_worth_it",
    ),
    Mutant(
        "a request that fails is looked into only where the destination takes others",
        f"{DELIVERY}/suspects.py",
        "if not is_up or self.failures > MOST_IN_A_ROW:",
        "if self.failures > MOST_IN_A_ROW:",
        f"{TESTS}/test_suspects.py",
    ),
    Mutant(
        "a row that fails alone is refused only if others were taken since",
        f"{DELIVERY}/suspects.py",
        "if not (self.taken_since or self._is_served(failure)):",
        "if False:",
        f"{TESTS}/test_suspects.py::test_a_lone_row_waits_as_long_as_nothing_is_taken",
    ),
    Mutant(
        "an open plan leaves out whoever has become one with somebody suppressed",
        "orchestration/delivering.py",
        "settle_tied(warehouse, now, plan.plan_id)",
        "pass",
        "tests/orchestration/test_suppression.py::test_a_merge_between_plan_and_send",
    ),
    Mutant(
        "a user's facts are made anew when an event leaves a lookback",
        "dbt_project/macros/facts/user_fingerprints.sql",
        "{%- for window in windows_of(sql) %}, {{ window }}{% endfor %}",
        "{%- do windows_of(sql) %}",
        "tests/dbt/test_kept_facts.py::test_facts_are_what_a_full_build_would_make",
    ),
    Mutant(
        "all facts are made anew when what makes them has changed",
        "dbt_project/macros/facts/user_fingerprints.sql",
        "'{{ made_by }}', ",
        "",
        "tests/dbt/test_kept_facts.py::test_another_definition_makes_all_rows_anew",
    ),
    Mutant(
        "a copy of an event that is read again may be of somebody else",
        "dbt_project/macros/events/copy_hash.sql",
        "hash(content_hash, user_id)",
        "content_hash",
        "tests/dbt/test_incremental.py::test_the_log_is_what_a_full_build_would_make",
    ),
)

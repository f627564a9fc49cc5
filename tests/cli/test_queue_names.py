"""Which queue a name on the command line means."""

from __future__ import annotations

import pytest

from tests.cli.stage import connect, digest, failed, invoke

BOTH = ("--prefix", "bull", "--prefix", "bull:eu")


def test_a_missing_queue_is_reported_with_those_that_exist(redis_url: str) -> None:
    failed(redis_url, 1, name="payments")
    failed(redis_url, 1, name="emails")
    before = digest(redis_url)
    for args in (("jobs", "x"), ("show", "x", "1"), ("retry", "x", "1", "--yes")):
        done = invoke("--redis", redis_url, *args, "--json")
        assert (done.code, done.out) == (2, "")
        assert done.err == 'qtui: no queue "x" under bull:*; the queues are: emails, payments\n'
    assert digest(redis_url) == before


def test_no_queue_at_all_is_said(redis_url: str) -> None:
    done = invoke("--redis", redis_url, "--prefix", "a", "--prefix", "b", "jobs", "x")
    assert (done.code, done.err.count("\n")) == (2, 1)
    nothing = "Database 0 holds 0 keys; none belongs to a queue."
    assert done.err.startswith(f'qtui: no queue "x": there are no queues under a:*, b:*. {nothing}')


def test_of_very_many_queues_some_are_named(redis_url: str) -> None:
    with connect(redis_url) as client:
        for number in range(25):
            client.hset(f"bull:q{number:02}:meta", "opts.maxLenEvents", 1)
    done = invoke("--redis", redis_url, "jobs", "x")
    assert done.err.endswith(" q18, q19, and 5 more\n")


def test_a_name_under_two_prefixes_must_be_given_in_full(redis_url: str) -> None:
    failed(redis_url, 1, name="payments", prefix="bull")
    failed(redis_url, 2, name="payments", prefix="bull:eu")
    before = digest(redis_url)
    done = invoke("--redis", redis_url, *BOTH, "retry", "payments", "1", "--yes")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        'qtui: queue "payments" exists under several prefixes:'
        " use bull:payments or bull:eu:payments\n"
    )
    assert digest(redis_url) == before
    for key, count in (("bull:payments", 1), ("bull:eu:payments", 2)):
        assert len(invoke("--redis", redis_url, *BOTH, "jobs", key, "--json").objects) == count


@pytest.mark.parametrize("name", ["payments", "eu:payments", "bull:eu:payments"])
def test_with_nested_prefixes_a_queue_is_found_by_any_of_its_names(
    redis_url: str, name: str
) -> None:
    failed(redis_url, 1, name="payments", prefix="bull:eu")
    assert invoke("--redis", redis_url, *BOTH, "jobs", name, "--json").objects[0]["id"] == "1"

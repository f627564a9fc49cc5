"""`qtui errors`: one line a cause, on real failures."""

from __future__ import annotations

from tests.cli.stage import Stage, connect, digest, invoke, play


async def three_causes(stage: Stage) -> None:
    await stage.add(4)
    await stage.fail(1, "connect ECONNREFUSED 10.0.0.7:5432")
    await stage.fail(1, "connect ECONNREFUSED 10.0.0.9:5432")
    await stage.fail(2, "Timeout of 5000ms exceeded")
    await stage.add(3, name="refund")
    await stage.fail(2, "Timeout of 30000ms exceeded")
    await stage.fail(1, "\x1b]0;pwned\x07[/foo] boom")


def test_failures_with_one_cause_are_one_line(redis_url: str) -> None:
    play(redis_url, three_causes)
    groups = invoke("--redis", redis_url, "errors", "payments", "--json").objects
    counted = {group["signature"]: (group["count"], group["share"]) for group in groups}
    assert counted["Timeout of <n>ms exceeded"] == (4, 0.5714)
    assert counted["connect ECONNREFUSED <address>"] == (2, 0.2857)
    assert len(groups) == 3
    [timeouts] = [group for group in groups if group["count"] == 4]
    assert timeouts["names"] == {"charge": 2, "refund": 2}
    assert timeouts["sample"] == "6"
    assert timeouts["first_seen"] <= timeouts["last_seen"]


def test_the_largest_group_comes_first_and_nothing_hostile_gets_out(redis_url: str) -> None:
    play(redis_url, three_causes)
    before = digest(redis_url)
    out = invoke("--redis", redis_url, "--read-only", "errors", "payments").out
    head, first, *_ = out.splitlines()
    assert head.split() == ["jobs", "share", "newest", "names", "sample", "error"]
    assert first.split()[:2] == ["4", "57%"]
    assert "pwned" in out
    assert "\x1b" not in out
    assert digest(redis_url) == before


def test_a_state_without_jobs_is_said(redis_url: str) -> None:
    play(redis_url, three_causes)
    done = invoke("--redis", redis_url, "errors", "payments", "--state", "completed")
    assert (done.code, done.out) == (0, "")
    assert "no completed jobs" in done.err


def test_a_filter_bounds_what_is_grouped(redis_url: str) -> None:
    play(redis_url, three_causes)
    asked = ("errors", "payments", "--filter", "name=refund error:timeout", "--json")
    [group] = invoke("--redis", redis_url, *asked).objects
    assert (group["signature"], group["count"], group["share"]) == (
        "Timeout of <n>ms exceeded",
        2,
        1.0,
    )
    assert group["names"] == {"refund": 2}


def test_no_match_is_said(redis_url: str) -> None:
    play(redis_url, three_causes)
    for name, where in (("payments", "bull:payments"), ("*", "any queue")):
        done = invoke("--redis", redis_url, "errors", name, "--filter", "nothing")
        assert (done.code, done.out) == (0, "")
        assert done.err == f"no failed jobs in {where} that match nothing\n"


def test_a_mistake_in_the_filter_is_pointed_at(redis_url: str) -> None:
    for mistake in ("", "age<<", "error:re:("):
        done = invoke("--redis", redis_url, "errors", "*", "--filter", mistake)
        assert done.code == 2
        assert "--filter" in done.err
        assert "Traceback" not in done.err


def test_all_queues_are_one_list(redis_url: str) -> None:
    async def timeouts(stage: Stage) -> None:
        await stage.add(3, name="mail")
        await stage.fail(3, "Timeout of 7ms exceeded")

    play(redis_url, three_causes)
    play(redis_url, timeouts, name="emails")
    before = digest(redis_url)
    groups = invoke("--redis", redis_url, "--read-only", "errors", "*", "--json").objects
    assert [group["count"] for group in groups] == [7, 2, 1]
    largest = groups[0]
    assert largest["names"] == {"charge": 2, "refund": 2, "mail": 3}
    assert set(largest["queues"]) == {"bull:payments", "bull:emails"}
    assert sum(largest["queues"].values()) == 7
    out = invoke("--redis", redis_url, "errors", "*").out
    assert "queues" in out.splitlines()[0]
    only = invoke("--redis", redis_url, "--queue", "emails", "errors", "*", "--json").objects
    assert [group["count"] for group in only] == [3]
    assert digest(redis_url) == before


def test_a_group_finds_its_jobs_by_its_signature(redis_url: str) -> None:
    play(redis_url, three_causes)
    for group in invoke("--redis", redis_url, "errors", "payments", "--json").objects:
        expression = 'group:"' + str(group["signature"]).replace('"', '""') + '"'
        asked = ("jobs", "payments", "--filter", expression, "--json")
        assert len(invoke("--redis", redis_url, *asked).objects) == group["count"]


def test_groups_that_differ_in_one_word_are_one_and_found_by_it(redis_url: str) -> None:
    names = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")

    async def users(stage: Stage) -> None:
        for name in names:
            await stage.add(1)
            await stage.fail(1, f"user {name} not found")
        await stage.add(2)
        await stage.fail(1, "user ECONNREFUSED not found")
        await stage.fail(1, "user not found")

    play(redis_url, users)
    groups = invoke("--redis", redis_url, "errors", "payments", "--json").objects
    assert [(group["signature"], group["count"]) for group in groups] == [
        ("user <word> not found", 10),
        ("user not found", 1),
        ("user ECONNREFUSED not found", 1),
    ]
    assert groups[0]["words"] == dict.fromkeys(names, 1)
    assert groups[1]["words"] == {}
    assert "user <word> not found" in invoke("--redis", redis_url, "errors", "payments").out
    wanted = ("--filter", str(groups[0]["filter"]))
    assert len(invoke("--redis", redis_url, "jobs", "payments", *wanted, "--json").objects) == 10
    plan = invoke("--redis", redis_url, "retry", "payments", *wanted, "--dry-run")
    [line] = [one for one in (plan.out + plan.err).splitlines() if "user <word> not found" in one]
    assert line.split()[0] == "10"
    done = invoke("--redis", redis_url, "retry", "payments", *wanted, "--yes", "--json")
    assert done.objects[-1]["summary"]["retried"] == 10
    story = invoke("journal", str(done.objects[-1]["summary"]["journal"])).out
    assert "user <word> not found" in story
    rest = invoke("--redis", redis_url, "errors", "payments", "--json").objects
    assert [group["signature"] for group in rest] == [
        "user not found",
        "user ECONNREFUSED not found",
    ]


def test_failures_that_an_acl_hides_are_not_counted_as_none(redis_url: str) -> None:
    play(redis_url, three_causes)
    guest = redis_url.replace("unix://", "unix://half:pw@", 1)

    def refused(*words: str) -> str:
        with connect(redis_url) as client:
            hidden = ("-zcard", "-zrange", "-zrevrange", "-zrangebyscore", "-sort_ro")
            rules = ("reset", "on", ">pw", "~bull:*", "+@all", *hidden)
            client.execute_command("ACL", "SETUSER", "half", *rules)
            done = invoke("--redis", guest, "errors", *words)
            client.acl_deluser("half")
        assert (done.code, done.out) == (3, "")
        return done.err

    assert "its ACL does not let this user run" in refused("payments")
    assert "its ACL does not let this user run" in refused("*")
    play(redis_url, three_causes, name="emails")
    both = refused("*")
    assert "Redis refused to read bull:" in both
    assert "bull:payments" in both
    assert "bull:emails" in both

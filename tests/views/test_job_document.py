"""A job as a document: what is in which section, and that nothing in a job can break it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from qtui.bullmq.model import LIST_FIELDS
from qtui.bullmq.reads.job import FIELD_UNASKED, LOG_WINDOW, Job, read_job
from qtui.demo.server import EmbeddedServer
from qtui.text import plain
from qtui.views.document import Document, Pending, Section
from qtui.views.job_document import job_sections, moment
from tests.seeds import QUEUE, START, Fields, job, raw_failed, raw_fields, real_queue
from tests.views.texts import text_of

STACK = "Error: boom\n    at run (/app/a.js:1:2)\n    at next (/app/node_modules/b.js:3:4)"


async def read(client: Redis, job_id: str = "1", *load: str) -> Job:
    found = await read_job(client, QUEUE, job_id, load=load)
    assert found is not None
    return found


def document(found: Job, *, roomy: bool = True) -> dict[str, Section]:
    """The sections by title; each title is there once."""
    sections = job_sections(found, START + 60_000, roomy=roomy)
    by_title = {section.title: section for section in sections}
    assert len(by_title) == len(sections)
    return by_title


async def sections_of(
    client: Redis, more: Fields | None = None, *, roomy: bool = True, **fields: str | bytes | int
) -> dict[str, Section]:
    everything: Fields = {**(more or {})}
    everything.update(fields)
    await raw_failed(client, "1", change=lambda _: everything)
    return document(await read(client), roomy=roomy)


def lines(sections: dict[str, Section], width: int = 80) -> list[str]:
    """The whole document as it is shown, every line of it plain."""
    layout = Document(list(sections.values())).layout(width)
    shown = []
    for y in range(layout.height):
        spans = layout.line(y)
        assert all(span.text == plain(span.text) for span in spans)
        shown.append("".join(span.text for span in spans))
    return shown


async def test_a_real_job_that_failed_begins_with_its_error(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    async with real_queue(any_server) as real:
        [job_id] = await real.add(job(data={"error": "boom"}, attempts=2))
        await any_client.rpush(QUEUE.job(job_id, "logs"), "one", "two")
        await real.work(2)
    sections = document(await read(any_client, job_id))
    assert list(sections) == ["error", "data", "options", "logs", "job"]
    assert "RuntimeError: boom" in text_of(sections["error"])
    assert sections["error"].note == "attempts 2 of 2, last of 2 stacks"
    assert json.loads(text_of(sections["data"])) == {"error": "boom"}
    assert text_of(sections["logs"]) == "one\ntwo"
    facts = text_of(sections["job"])
    assert f"id: {job_id}" in facts
    assert "state: failed" in facts
    assert "attempts: 2 made of 2, 2 started" in facts
    assert lines(sections)


class TestError:
    async def test_error_and_stack_that_say_the_same_are_one(self, client: Redis) -> None:
        stacks = json.dumps(["Error: older", STACK])
        sections = await sections_of(client, failedReason="boom", stacktrace=stacks)
        assert text_of(sections["error"]) == STACK
        assert sections["error"].note == "attempts 1 of 3, last of 2 stacks"
        assert "stack" not in sections

    async def test_where_there_is_little_room_the_stack_is_folded_but_for_a_frame(
        self, client: Redis
    ) -> None:
        sections = await sections_of(
            client, roomy=False, failedReason="boom", stacktrace=json.dumps([STACK])
        )
        assert text_of(sections["error"]) == "boom\n    at run (/app/a.js:1:2)"
        assert sections["stack"].folded
        assert text_of(sections["stack"]) == STACK

    async def test_an_error_that_is_not_in_the_stack_is_above_it(self, client: Redis) -> None:
        sections = await sections_of(client, failedReason="stalled", stacktrace=json.dumps([STACK]))
        assert list(sections)[:2] == ["error", "stack"]
        assert text_of(sections["error"]).startswith("stalled")

    @pytest.mark.parametrize("stack", ["", "[]", "[ ]", "null"])
    async def test_an_error_without_a_stack(self, client: Redis, stack: str) -> None:
        sections = await sections_of(client, failedReason="boom", stacktrace=stack)
        assert text_of(sections["error"]) == "boom"

    @pytest.mark.parametrize("stack", ["junk", '{"a":1}', "[1,2]", '["a",null]', "[" * 5000])
    async def test_a_stack_that_is_none_is_shown_as_it_is(self, client: Redis, stack: str) -> None:
        sections = await sections_of(client, failedReason="boom", stacktrace=stack)
        assert text_of(sections["stack"]) == stack
        assert lines(sections)

    async def test_a_reason_of_another_attempt_is_the_last_error(self, client: Redis) -> None:
        await raw_failed(client, "1", state="completed", change=lambda _: {"returnvalue": "5"})
        sections = document(await read(client))
        assert "error" not in sections
        assert text_of(sections["last error"]) == "boom"
        assert text_of(sections["return value"]) == "5"

    async def test_what_was_not_read_asks_to_be(self, client: Redis) -> None:
        long = "x" * (FIELD_UNASKED + 1)
        sections = await sections_of(
            client, failedReason=long, stacktrace=json.dumps([long]), data=long, opts=long
        )
        bodies = {title: section.body for title, section in sections.items()}
        assert bodies["error"] == Pending(FIELD_UNASKED + 1, "failedReason")
        assert bodies["data"] == Pending(FIELD_UNASKED + 1, "data")
        assert bodies["options"] == Pending(FIELD_UNASKED + 1, "opts")
        stack = bodies["stack"]
        assert isinstance(stack, Pending)
        assert stack.what == "stacktrace"
        found = document(await read(client, "1", "data"))
        assert text_of(found["data"]) == long


class TestContent:
    async def test_progress_is_shown_when_there_is_some(self, client: Redis) -> None:
        for nothing in ("0", "{}"):
            assert "progress" not in await sections_of(client, progress=nothing)
        for some in ("42", '{"done":7}', "junk"):
            assert text_of((await sections_of(client, progress=some))["progress"]) == some

    async def test_long_values_say_how_long_they_are(self, client: Redis) -> None:
        sections = await sections_of(client, data=json.dumps(["x" * 2000]))
        assert sections["data"].note == "2.0 kB"
        assert sections["options"].note == ""

    async def test_of_long_logs_the_newest_lines_are_shown_and_all_can_be(
        self, client: Redis
    ) -> None:
        await raw_failed(client, "1")
        await client.rpush(QUEUE.job("1", "logs"), *(f"line {n}" for n in range(LOG_WINDOW + 5)))
        logs = document(await read(client))["logs"]
        assert logs.note == f"{LOG_WINDOW + 5} lines"
        assert text_of(logs).startswith("line 5\n")
        assert logs.more == Pending(-1, "logs")
        logs = document(await read(client, "1", "logs"))["logs"]
        assert text_of(logs).startswith("line 0\n")
        assert logs.more is None

    async def test_a_family(self, client: Redis) -> None:
        parent = '{"id":"9","queueKey":"bull:orders"}'
        await raw_failed(client, "1", change=lambda _: {"parent": parent})
        await client.sadd(QUEUE.job("1", "dependencies"), "a", "b")
        await client.zadd(QUEUE.job("1", "unsuccessful"), {"c": 1})
        assert text_of(document(await read(client))["flow"]).split("\n") == [
            "parent: 9 in bull:orders",
            "children: 3",
            "  still pending: 2",
            "  failed, fatal: 1",
        ]

    @pytest.mark.parametrize("name", ["parent", "parentKey"])
    async def test_a_parent_that_is_garbage_is_shown_as_it_is(
        self, client: Redis, name: str
    ) -> None:
        sections = await sections_of(client, {name: "junk"})
        assert text_of(sections["flow"]) == f"{name}: junk"


class TestFacts:
    async def test_what_is_garbage_is_named_and_shown(self, client: Redis) -> None:
        sections = await sections_of(client, timestamp="soon", opts="junk", delay=b"\xff\x1b[31m")
        facts = text_of(sections["job"])
        assert "not readable: timestamp, delay, opts" in facts
        assert "  timestamp: soon" in facts
        assert text_of(sections["options"]) == "junk"
        assert any("\\xff␛[31m" in line for line in lines(sections))

    async def test_fields_of_other_releases_have_words_and_unknown_ones_their_names(
        self, client: Redis
    ) -> None:
        sections = await sections_of(
            client, pb="mailer-1", stc=2, rjk="nightly", junk="x", long="x" * (FIELD_UNASKED + 1)
        )
        facts = text_of(sections["job"])
        for words in ("processed by: mailer-1", "stalled, times: 2", "scheduler: nightly"):
            assert words in facts
        assert "junk: x" in facts.split("\n")
        assert "long: 262.1 kB" in facts

    async def test_many_fields_are_summed_up(self, client: Redis) -> None:
        sections = await sections_of(client, {f"junk{n}": "x" for n in range(1000)})
        assert "more fields that BullMQ does not write" in text_of(sections["job"])

    async def test_an_orphan_and_an_id_that_workers_throw_away(self, client: Redis) -> None:
        await client.hset(QUEUE.job("0:5"), mapping=raw_fields())
        facts = text_of(document(await read(client, "0:5"))["job"])
        assert "none: its id is in no list and no set" in facts
        assert "mistakes an id like this for a marker" in facts

    async def test_a_job_that_is_locked(self, client: Redis) -> None:
        await client.hset(QUEUE.job("1"), mapping=raw_fields())
        await client.lpush(QUEUE.key("active"), "1")
        await client.set(QUEUE.job("1", "lock"), "token:7")
        found = await read(client)
        assert "locked by: token:7" in text_of(document(found)["job"])
        soon = document(replace(found, lock_ttl=12_000))
        assert "locked by: token:7, for 12.0 s more" in text_of(soon["job"])

    async def test_times_are_reported_in_full(
        self, client: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(os.environ, "TZ", "UTC")
        time.tzset()
        facts = text_of((await sections_of(client))["job"])
        assert "created: 2023-11-14 22:13:15.000   1m" in facts
        assert "finished: 2023-11-14 22:13:20.000   1m" in facts
        assert "took: 100 ms" in facts
        assert moment(None) == ""
        assert moment(10**300) == str(10**300)
        assert moment(-(10**18)) == str(-(10**18))
        assert moment(0) == "1970-01-01 00:00:00.000"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    garbage=st.dictionaries(
        st.sampled_from([*LIST_FIELDS, "data", "returnvalue", "stacktrace", "progress", "parent"])
        | st.binary(max_size=8).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
        st.binary(max_size=40)
        | st.sampled_from([b"1e308", b"-1e308", b"9" * 300, b"[" * 3000, b'["\\ud800"]', b"\x1b]"]),
    ),
    roomy=st.booleans(),
)
async def test_no_garbage_breaks_the_document(
    client: Redis, garbage: dict[str, bytes], roomy: bool
) -> None:
    await client.flushall()
    fields: Fields = {"name": "n"}
    fields.update(garbage)
    await client.hset(QUEUE.job("1"), mapping=fields)
    assert lines(document(await read(client), roomy=roomy))


async def test_megabytes_are_shown_at_once(client: Redis) -> None:
    long = "x\x1b" * 500_000
    fields: Fields = dict.fromkeys(("failedReason", "junk", "data"), long)
    await raw_failed(client, "1", change=lambda _: fields)
    found = await read(client, "1", "failedReason", "data", "junk")
    start = time.process_time()
    layout = Document(job_sections(found, START, roomy=False)).layout(80)
    for y in range(min(50, layout.height)):
        layout.line(y)
    assert time.process_time() - start < 2

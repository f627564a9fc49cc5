"""What the plans of all actions share on the screen: a reason, what must be typed, danger, toggles.

The plan here is made by hand: the dialog knows no action, and writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis.asyncio

from qtui.bullmq.connection.client import Client
from qtui.operations.engine.action import JobAction
from qtui.operations.journal.reading import campaigns
from qtui.operations.planning.proposal import (
    PlanLine,
    PlanOptions,
    Toggle,
    count_to_type,
)
from qtui.ui.dialogs.action import ActionDialog, Progress, Request
from qtui.ui.dialogs.plan import Confirmed
from qtui.verbs import Verb
from tests.ui.driver import Driver, inspector
from tests.ui.flows import failed_report
from tests.ui.stage import fill

CHILDREN = Toggle(id="plan.reset-made", words="children too", rereads=True)
SIZES = [(80, 24), (120, 36), (200, 60)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A plan that takes jobs, or a queue with a name, away."""

    jobs: int
    verb: Verb = Verb.REMOVE
    name: str = ""
    refusal: str = ""

    def go(self, options: PlanOptions) -> str:
        return f"remove {self.jobs} jobs"

    def confirmation(self, options: PlanOptions) -> str:
        return self.name or count_to_type(self.jobs)

    def lines(self, options: PlanOptions) -> Sequence[PlanLine]:
        gone = PlanLine(number=self.jobs - 1, name="charge", note="Timeout", place="removed")
        return [gone, PlanLine(number=1, name="tick", refusal="-8 a scheduler's iteration")]

    def warnings(self, options: PlanOptions) -> Sequence[str]:
        return ["Their children are removed too."] if CHILDREN.id in options.on else []

    def action(self, client: Client, options: PlanOptions) -> JobAction:
        raise NotImplementedError


@dataclass
class Desk:
    """Opens the dialog, and keeps what came of it."""

    plan: Removal
    answers: list[Confirmed[Removal] | None] = field(default_factory=list)
    read: list[PlanOptions] = field(default_factory=list)

    allowed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: the plan is read."""

    def __post_init__(self) -> None:
        self.allowed.set()

    async def make(self, options: PlanOptions, progress: Progress) -> Removal:
        self.read.append(options)
        await self.allowed.wait()
        return self.plan

    async def open(self, driver: Driver, *, dry: str = "") -> None:
        request = Request(
            title="Remove 37 jobs in payments",
            read=self.make,
            dangerous=True,
            toggles=(CHILDREN,),
            paced=True,
        )
        dialog = ActionDialog(
            request,
            options=PlanOptions(),
            keep=lambda options: None,
            dry=dry,
            explain=str,
        )
        driver.app.push_screen(dialog, self.answers.append)
        if self.allowed.is_set():
            await driver.settle()


@pytest.mark.parametrize("size", SIZES)
async def test_a_dangerous_plan_is_red_and_says_what_becomes_of_whom(
    redis_url: str, size: tuple[int, int]
) -> None:
    desk = Desk(Removal(jobs=38))
    async with inspector(redis_url, size=size) as driver:
        await desk.open(driver)
        await driver.sees("Remove 37 jobs in payments")
        assert "37  charge" in driver.line_with("→ removed")
        assert "tick" in driver.line_with("✗ -8 a scheduler's iteration")
        frame = driver.app.screen.query_one("#frame")
        for ink in (frame.styles.border.top[1], frame.styles.border_title_color):
            assert ink.r > max(ink.g, ink.b) + 40, f"{ink} is not red"
        await driver.press("y")
        assert [one and one.plan for one in desk.answers] == [desk.plan]


async def test_a_plan_of_a_queue_speaks_of_no_jobs_while_it_is_read(redis_url: str) -> None:
    desk = Desk(Removal(jobs=1))
    desk.allowed.clear()
    async with inspector(redis_url) as driver:
        await desk.open(driver)
        await driver.until(lambda: "reading the plan …" in driver.text(), "the dialog")
        desk.allowed.set()
        await driver.sees("y remove 1 jobs")


async def test_a_toggle_reads_the_plan_anew_where_it_must(redis_url: str) -> None:
    desk = Desk(Removal(jobs=3))
    async with inspector(redis_url) as driver:
        await desk.open(driver)
        await driver.sees("[ ] m children too")
        driver.app.screen.action_option(CHILDREN.id)  # type: ignore[attr-defined]
        await driver.sees("[x] m children too")
        await driver.sees("▲ Their children are removed too.")
        assert [one.on for one in desk.read] == [frozenset(), {CHILDREN.id}]
        await driver.press("t")
        await driver.sees("10 jobs/s")
        assert len(desk.read) == 2
        await driver.press("c", "s")  # which this plan does not have
        await driver.press("question_mark")
        assert "canary" not in driver.text()
        await driver.press("escape", "escape")
        assert desk.answers == [None]


async def test_a_count_above_a_hundred_is_typed(redis_url: str) -> None:
    desk = Desk(Removal(jobs=101))
    async with inspector(redis_url) as driver:
        await desk.open(driver)
        await driver.press("y")
        await driver.sees("type 101 to remove 101 jobs")
        await driver.press("1", "0")
        assert not desk.answers
        await driver.press("1", "enter")
        assert [one and one.plan for one in desk.answers] == [desk.plan]


@pytest.mark.parametrize("size", [(44, 10), *SIZES])
async def test_a_name_is_typed_letter_by_letter_and_entered(
    redis_url: str, size: tuple[int, int]
) -> None:
    desk = Desk(Removal(jobs=2, name="mqyjs queue"))
    async with inspector(redis_url, size=size) as driver:
        await desk.open(driver)
        await driver.press("y")
        await driver.press(*"mqyjs que", "enter")
        await driver.sees("name does not match")
        assert not desk.answers
        await driver.press("u", "e")
        assert "mqyjs queue" in driver.text()
        await driver.press("enter")
        assert [one and one.plan for one in desk.answers] == [desk.plan]


async def test_a_refusal_leaves_nothing_to_confirm(redis_url: str) -> None:
    desk = Desk(Removal(jobs=2, refusal="The queue is Bull 3: nothing can be removed."))
    async with inspector(redis_url) as driver:
        await desk.open(driver)
        await driver.sees("The queue is Bull 3: nothing can be removed.")
        await driver.press("y")
        assert not desk.answers
        await driver.press("q")
        assert desk.answers == [None]


async def test_a_reason_is_typed_kept_and_can_be_left(redis_url: str) -> None:
    desk = Desk(Removal(jobs=2))
    async with inspector(redis_url) as driver:
        await desk.open(driver)
        await driver.sees("R reason (kept in the journal)")
        await driver.press("R", *"yq 1[/b]", "enter")
        await driver.sees("R reason: yq 1[/b]")
        await driver.press("R", *" more", "escape")
        await driver.sees("R reason: yq 1[/b]")
        assert not desk.answers
        await driver.press("y")
        assert [one and one.reason for one in desk.answers] == ["yq 1[/b]"]


async def test_a_dry_run_says_so_and_can_not_be_confirmed(redis_url: str) -> None:
    desk = Desk(Removal(jobs=2))
    async with inspector(redis_url, read_only=True) as driver:
        await desk.open(driver, dry="READ-ONLY")
        await driver.sees("Dry run: remove 37 jobs in payments")
        await driver.sees("this is a dry run; nothing will be written")
        assert "reason" not in driver.text()
        await driver.press("y", "r")
        assert not desk.answers


@pytest.mark.slow
async def test_the_reasons_of_a_retry_and_of_a_rerun_are_in_their_journals(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    await fill(redis_url, "payments", 1)
    await failed_report(redis_url, client)
    async with inspector(redis_url, journal=tmp_path) as driver:
        await driver.press("r", "R", *"the bank is back", "enter")
        await driver.sees("y retry 1 job")
        await driver.press("y")
        await driver.sees("1 of 1 job retried")
        await driver.press("escape", "tab")
        for queue in ("reports", "render", "invoices"):
            if f"▌{queue}" not in driver.text().replace(" ", ""):
                driver.inspector.lists.go_to_queue(
                    next(one for one in driver.inspector.poll.statuses if one.name == queue)
                )
                break
        await driver.settle()
        driver.inspector.table.focus()
        await driver.press("f")
        await driver.sees("Flow of")
        await driver.press("r", "R", *"fixed", "enter")
        await driver.sees("y rerun")
        await driver.press("y")
        await driver.sees("rerun: ")
    assert {one.header.reason for one in campaigns(tmp_path)} == {"the bank is back", "fixed"}

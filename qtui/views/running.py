"""A campaign of any action, under way or over, in a line. No widgets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import VANISHED, Campaign, Phase
from qtui.operations.queues.queue_action import QueueAction
from qtui.operations.retry.everywhere import KIND as SEVERAL
from qtui.operations.retry.everywhere import queues_of
from qtui.text import count, first_line, plain, plural, rough
from qtui.verbs import NOUNS, RESUMABLE, Verb, verb_of
from qtui.views.queues.pulse import per_second

_WINDOW: Final = 10.0
"""Seconds over which the speed of a campaign is taken."""

_SHORTEST: Final = 1.0
"""Seconds after which a speed says something."""


class Speed:
    """How fast jobs are decided, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        """When how many were decided, the latest last."""

    def look(self, decided: int, now: float) -> None:
        """Notes how many are decided by now; ``now`` in seconds, of a monotonic clock."""
        if not self._seen or now - self._seen[-1][0] > _SHORTEST / 4:
            self._seen.append((now, decided))
        while len(self._seen) > 2 and now - self._seen[1][0] > _WINDOW:
            self._seen.popleft()

    def rest(self) -> None:
        """Forgets what was, since nothing is sent for now."""
        self._seen.clear()

    def words(self, decided: int, left: int, now: float) -> str:
        """``480/s, 58 s left``; empty as long as it is unknown."""
        if not self._seen or not left:
            return ""
        since, before = self._seen[0]
        if now - since < _SHORTEST or decided <= before:
            return ""
        rate = (decided - before) / (now - since)
        return f"{per_second(rate)}, {rough(1000 * left / rate)} left"


class Run:
    """A campaign and what it is about."""

    def __init__(self, campaign: Campaign[JobAction]) -> None:
        self.campaign = campaign
        self.speed = Speed()
        self.result = ""
        """What the result of a whole queue says beyond its code: why it was left alone, or how much
        was removed. Jobs and schedulers say it in their rows."""
        self.trouble = ""
        """Why it ended before its time, where the campaign itself does not say so."""
        header = campaign.action.header()
        self.action = header.action
        self._done = header.done
        self._unit = NOUNS.get(header.selection.kind, "job")
        self.queue = QueueKey(header.queue, header.prefix)
        """The queue of its jobs; of an action on several queues the first."""
        self.queues: Sequence[QueueKey] = [self.queue]
        """The queues of its jobs."""
        self.state: JobState | None = None
        """The state in which the action finds its jobs; None where they are in none, or in any."""
        if self._unit == "job" and header.state in list(JobState):
            self.state = JobState(header.state)
        several = self._unit == "queue" and campaign.selected > 1
        self.where = plural(campaign.selected, "queue") if several else plain(self.queue.name)
        if header.selection.kind == SEVERAL:
            self.queues = [queue for queue, _ in queues_of(header)]
            self.where = plural(len(self.queues), "queue")
        """What it is about, for a banner."""

    def take(self, results: Sequence[Result]) -> None:
        """Takes in results of whole queues and of new jobs, which have no rows."""
        if self.action in (Verb.ADD, Verb.DUPLICATE) and results and results[0].done:
            self.result = f"its id is {plain(results[0].job_id)}"
        if self._unit != "queue":
            return
        for one in results:
            words = one.error if not one.done else ""
            if one.done and self.action == Verb.REMOVE_QUEUE:
                words = one.target
            self.result = self.result or plain(first_line(words))

    def ids_in(self, queue: QueueKey | None, names: Iterable[str]) -> dict[str, str]:
        """Returns which of its jobs are in a queue: by their ids there, their names in results.

        Jobs of several queues are named by their full keys.
        """
        if queue is None or queue not in self.queues:
            return {}
        if len(self.queues) == 1 and queue == self.queue:
            return {name: name for name in names}
        start = queue.key("")
        longer = tuple(one.key("") for one in self.queues if one.key("").startswith(start))
        longer = tuple(one for one in longer if one != start)
        return {
            name[len(start) :]: name
            for name in names
            if name.startswith(start) and not name.startswith(longer)
        }

    @property
    def id(self) -> str:
        """Its id in the journal; empty where it has none, or not yet."""
        journal = self.campaign.journal
        return "" if journal is None else journal.id

    @property
    def under_way(self) -> bool:
        """Whether it sends jobs, or is about to."""
        return not self.campaign.is_over

    @property
    def can_be_undone(self) -> bool:
        """Whether it is over, changed something that an undo takes back, and is not followed."""
        final = self.action in (Verb.UNDO, Verb.REMOVE_QUEUE)
        followed = self.campaign.action.follower is not None
        return not (self.under_way or final or followed) and bool(self.campaign.done)

    @property
    def can_be_resumed(self) -> bool:
        """Whether it stopped before its end, and a journal knows what is left."""
        campaign = self.campaign
        stopped = campaign.is_over and campaign.phase is not Phase.DONE
        known = campaign.journal is not None and self.action in RESUMABLE
        left = campaign.selected > campaign.decided
        return stopped and known and left and campaign.why != VANISHED

    @property
    def doing(self) -> str:
        """What it does: ``retrying``."""
        verb = verb_of(self.action)
        return verb.doing if verb is not None else plain(self.action)

    @property
    def noun(self) -> str:
        """What it is: ``retry``."""
        return plain(self.campaign.action.header().noun)

    @property
    def why_again(self) -> str:
        """The error with which most of its jobs failed again, as a sentence behind another one."""
        follower = self.campaign.action.follower
        errors = follower.tally().errors if follower is not None else ()
        return f" Most common error: {plain(errors[0][0])}." if errors else ""

    @property
    def done(self) -> str:
        """What is said of its jobs with code 1: ``retried``."""
        return self._done

    def status(self) -> tuple[str, str]:
        """Its progress and results, and the tone to show them in (a style of `Bar`)."""
        words, tone = self._status()
        return (f"{self.trouble} · {words}", "bad") if self.trouble else (words, tone)

    def _status(self) -> tuple[str, str]:
        campaign, follower = self.campaign, self.campaign.action.follower
        others = sorted(code for code in campaign.codes if code is not Code.DONE)
        words, failed_again = [*self._course()], 0
        if campaign.done and follower is not None:
            tally = follower.tally()
            words.append(tally.words())
            failed_again = tally.failed_again
        for code in others:
            name = f"{int(code)} " if code not in (Code.REFUSED, Code.UNKNOWN) else ""
            place = "its place" if self.action == Verb.UNDO else self.state or "its place"
            what = meaning(code, place, self.done)
            if self._unit == "queue" and code in (Code.REFUSED, Code.NOT_IN_STATE):
                name, what = "", "left alone"
            elif code is Code.REFUSED and self.action not in (Verb.RETRY, Verb.RERUN):
                what = "kept (0), their rows say why"
            words.append(f"{name}{what}: {count(campaign.codes[code])}")
        words += [self.result] if self.result else []
        words += (f"Redis refused: {plain(note)}" for note in campaign.notes)
        stopped = campaign.is_over and campaign.phase is not Phase.DONE
        if failed_again or stopped or campaign.why:
            return " · ".join(words), "bad"
        return " · ".join(words), "warn" if others or campaign.notes else "strong"

    def _course(self) -> Iterator[str]:
        """How far it is, or why it stopped."""
        campaign, selected = self.campaign, plural(self.campaign.selected, self._unit)
        left = campaign.selected - campaign.decided
        if not campaign.is_over:
            doing = campaign.phase.value
            if campaign.phase is Phase.RUNNING:
                doing = self.doing if left else "finishing"
            yield f"{doing}: {count(campaign.decided)} of {selected}"
            if isinstance(campaign.action, QueueAction) and campaign.action.left:
                yield f"{count(campaign.action.left)} left"
            if campaign.trouble or campaign.held:
                self.speed.rest()
            if campaign.trouble:
                yield f"waiting: {campaign.trouble}"
            elif campaign.held:
                yield f"on hold: {campaign.held}"
            else:
                now = time.monotonic()
                self.speed.look(campaign.decided, now)
                if speed := self.speed.words(campaign.decided, left, now):
                    yield speed
        elif campaign.phase is not Phase.DONE:
            yield f"{campaign.phase.value}{f': {plain(campaign.why)}' if campaign.why else ''}"
            yield f"{count(left)} not {self.done}"
        else:
            yield f"{count(campaign.done)} of {selected} {self.done}"
            if left and self.state is not None:
                yield f"{count(left)} left {self.state} before their turn"
            if campaign.why:
                yield plain(campaign.why)

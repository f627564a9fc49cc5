"""`qtui edit`: data, priority and delay of one job, given as options or in the user's editor."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace

from qtui.bullmq.connection.client import Client
from qtui.bullmq.new_job.editable import Editable, read_editable
from qtui.commands.shared.asking import Manner, check_may_write
from qtui.commands.shared.find import find_queue
from qtui.commands.shared.output import is_terminal
from qtui.commands.shared.run import DONE, INTERRUPTED, NOT_ALL, USAGE, CommandError, Workplace
from qtui.commands.shared.single import Single, do_single, not_found
from qtui.operations.edit.draft import Draft, EditorError, editor_command
from qtui.operations.edit.plan import EditPlan, Wish, plan_for
from qtui.text import plain
from qtui.verbs import Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRequest(Manner):
    """Which job to edit, and how."""

    queue: str
    job_id: str
    wish: Wish

    @property
    def in_editor(self) -> bool:
        """Whether the data is edited by hand, since nothing else says what changes."""
        wish = self.wish
        return wish.data is None and wish.priority is None and wish.delay is None

    @property
    def words(self) -> str:
        """The command line as the journal records it; the data itself is in the job's line."""
        words, wish = ["qtui", "edit", self.queue, self.job_id], self.wish
        words += ["--data", "…"] if wish.data is not None else []
        words += ["--priority", str(wish.priority)] if wish.priority is not None else []
        words += ["--delay", f"{wish.delay}ms"] if wish.delay is not None else []
        words += ["--retry"] if wish.retry else []
        words += ["--reset-attempts-made"] if wish.resets.made else []
        words += ["--reset-attempts-started"] if wish.resets.started else []
        return shlex.join(words)


class _NoSuchJob(LookupError):
    """The queue has no job of this id."""


def edit_job(place: Workplace, request: EditRequest) -> int:
    """Edits a job, or shows what an edit would do; returns the exit code."""
    if request.wish.mistake:
        raise CommandError(request.wish.mistake, USAGE)
    check_may_write(place, Verb.EDIT, request)
    if request.wish.retry:
        check_may_write(place, Verb.RETRY, request)
    if request.in_editor and not (is_terminal(sys.stdin) and place.err.is_terminal):
        raise CommandError(
            "cannot open an editor without a terminal: give --data, --priority or --delay", USAGE
        )
    try:
        job = place.ask(lambda client: _read(client, place, request))
    except _NoSuchJob as error:
        return not_found(place, Verb.EDIT, request.job_id, str(error), request)
    wish = request.wish
    if request.in_editor:
        try:
            data = _edited(place, job)
        except KeyboardInterrupt:
            place.err.line("qtui: interrupted: nothing was edited")
            return INTERRUPTED
        if data is None and not wish.retry:
            place.err.line("qtui: the data was not changed: nothing was edited")
            return DONE
        wish = replace(wish, data=data)
    plan = place.ask(lambda client: plan_for(client, job, wish))
    return do_single(place, _single(plan, replace(request, wish=wish)), request)


async def _read(client: Client, place: Workplace, request: EditRequest) -> Editable:
    status = await find_queue(client, place.settings.prefixes, request.queue)
    if status.kind.refusal:
        raise CommandError(f"{status.queue.base} is {status.kind.refusal}", NOT_ALL)
    job = await read_editable(client, status.queue, request.job_id)
    if job is None:
        raise _NoSuchJob(f"no job {request.job_id} in {status.queue.base}")
    return job


def _edited(place: Workplace, job: Editable) -> str | None:
    """The data as the user's editor left it; None if it was not changed.

    Raises:
        CommandError: there is no editor, it failed, or the user gave up.
    """
    try:
        command = editor_command()
        with Draft(job.data, job.id) as draft:
            while True:
                draft.run(command)
                if draft.is_unchanged:
                    return None
                mistake = draft.mistake
                if mistake is None:
                    return draft.text
                place.err.line(f"qtui: the data is not JSON: {plain(str(mistake))}")
                place.err.flush()
                if not _edits_again():
                    raise CommandError("nothing was edited", NOT_ALL)
    except EditorError as error:
        raise CommandError(str(error), NOT_ALL) from None


def _edits_again() -> bool:
    sys.stderr.write("Edit it again? [Y/n] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return bool(answer) and answer.strip().lower() in ("", "y", "yes", "e")


def _single(plan: EditPlan, request: EditRequest) -> Single:
    job = plan.job
    lines = [*plan.difference(), *plan.changes()]
    place = plan.place()
    lines += [f"→ {place}"] if not plan.refusal else []
    verb = "Edit and retry" if plan.change.retry else "Edit"
    name = f"{plain(job.id)} ({plain(job.row.name)})"
    return Single(
        verb=Verb.EDIT,
        title=f"{verb} job {name} in {plain(plan.queue.base)}, {job.state or 'in no state'}",
        lines=lines,
        warnings=tuple(plan.warnings()),
        refusal=plan.refusal,
        unchanged=plan.change.is_empty and not plan.status.kind.refusal,
        job_id=job.id,
        target=plan.target,
        question=f"{verb} the job",
        make=plan.action,
        how=request.words,
    )

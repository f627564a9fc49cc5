"""Edits of the job under the cursor, and copies of it: the editor, the dialog, and the plans."""

from __future__ import annotations

import asyncio

from qtui.bullmq.new_job.editable import Editable, read_editable
from qtui.bullmq.new_job.options import OptionError
from qtui.operations.add.plan import AddPlan, NotAddable, copy_of, plan_add, read_copied
from qtui.operations.edit.draft import Draft, EditorError, editor_command
from qtui.operations.edit.plan import RETRY, EditPlan, Wish, plan_for
from qtui.operations.planning.proposal import PlanOptions
from qtui.text import plain
from qtui.ui.dialogs.action import Progress, Request
from qtui.ui.dialogs.ask import AskDialog
from qtui.ui.dialogs.edit import Chosen, EditDialog
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.plans.changing import Changing
from qtui.ui.terminal import TerminalApp
from qtui.verbs import Verb
from qtui.views.lists.board import Board


class Editing:
    """Edits and copies single jobs.

    Args:
        screen: the screen below the dialogs.
        board: what is looked at.
        changing: opens the plans, and carries them out.
    """

    def __init__(self, screen: LiveScreen, board: Board, changing: Changing) -> None:
        self._screen = screen
        self._board = board
        self._changing = changing

    # Edit

    def edit(self, job_id: str | None) -> None:
        """Asks what is to be edited of a job of the list."""
        session, queue = self._screen.session, self._board.queue
        if queue is None or job_id is None:
            return

        async def read() -> Editable:
            job = await read_editable(session.client, queue, job_id)
            if job is None:
                raise LookupError(f"The job {job_id} of {queue.name} is gone.")
            return job

        name = f"{plain(job_id)} in {plain(queue.name)}"
        dialog = EditDialog(name, self._board.state, read, session.explain)
        self._screen.app.push_screen(dialog, self._chosen)

    def _chosen(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        job, choice = chosen.job, chosen.choice
        if choice.is_data:
            self._screen.in_background(lambda: self._in_editor(job), "edit")
        else:
            self._plan(job, Wish(priority=choice.priority, delay=choice.delay))

    async def _in_editor(self, job: Editable) -> None:
        """Hands the terminal to the user's editor, until what it leaves is JSON or given up."""
        app, screen = self._screen.app, self._screen
        assert isinstance(app, TerminalApp)
        try:
            command = editor_command()
            with Draft(job.data, job.id) as draft:
                while True:
                    if not await app.lend_terminal(lambda: draft.run(command), draft.stop):
                        return
                    if draft.is_unchanged:
                        screen.say("The data was not changed.")
                        return
                    mistake = draft.mistake
                    if mistake is None:
                        break
                    words = f"The data is not JSON: {plain(str(mistake))}. Edit it again?"
                    if not await self._agrees(words):
                        screen.say("Nothing was edited.")
                        return
                data = draft.text
        except EditorError as error:
            screen.say(plain(str(error)), "bad")
            return
        self._plan(job, Wish(data=data))

    async def _agrees(self, question: str) -> bool:
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def take(yes: bool | None) -> None:
            if not answered.done():
                answered.set_result(bool(yes))

        self._screen.app.push_screen(AskDialog(question, "edit again", "give up"), take)
        return await answered

    def _plan(self, job: Editable, wish: Wish) -> None:
        client = self._screen.session.client
        retriable = job.state is not None and job.state.is_finished
        retriable = retriable and Verb.RETRY in self._screen.session.allowed

        async def read(options: PlanOptions, progress: Progress) -> EditPlan:
            retry = retriable and RETRY.id in options.on
            whole = Wish(data=wish.data, priority=wish.priority, delay=wish.delay, retry=retry)
            return await plan_for(client, job, whole)

        title = f"Edit job {plain(job.id)} in {plain(job.queue.name)}"
        toggles = (RETRY,) if retriable else ()
        request = Request(
            title=title, read=read, toggles=toggles, details=lambda plan: plan.difference()
        )
        self._changing.open(Verb.EDIT, request)

    # Copy

    def duplicate(self, job_id: str | None) -> None:
        """Opens the plan of a new job made from one of the list."""
        client, queue = self._screen.session.client, self._board.queue
        if queue is None or job_id is None:
            return

        async def read(options: PlanOptions, progress: Progress) -> AddPlan:
            old = await read_copied(client, queue, job_id)
            try:
                new = copy_of(old)
            except OptionError as error:
                raise NotAddable(str(error)) from None
            return await plan_add(client, queue, new, copied=job_id)

        title = f"Copy job {plain(job_id)} in {plain(queue.name)} as a new job"
        self._changing.open(Verb.DUPLICATE, Request(title=title, read=read))

"""The dialog that asks for the queue where several hold a job of the same id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from typing_extensions import override

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.reader import Whereabouts
from qtui.text import plain
from qtui.ui.acting import Acting
from qtui.ui.actions import Action, Where
from qtui.ui.dialogs.base import Dialog
from qtui.ui.keys import bindings
from qtui.ui.widgets.cursor_list import fit

_STATES = 18
"""Cells of a state."""


class PlacesDialog(Dialog["tuple[QueueKey, Whereabouts]"]):
    """Lists the queues that hold a job of this id; answers with the chosen one."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.PLACES))
    PARTS = (Where.PLACES, Where.MOVE)
    WIDTH = 64
    BOTTOM = ()

    DEFAULT_CSS = """
    PlacesDialog OptionList {
        height: auto; border: none; padding: 0;
        &:focus { border: none; }
    }
    """

    def __init__(self, job_id: str, places: Sequence[tuple[QueueKey, Whereabouts]]) -> None:
        super().__init__()
        self._job_id = job_id
        self._places = places

    @property
    @override
    def title_text(self) -> str:
        """Which job is found more than once."""
        return f"Several queues hold a job {plain(self._job_id)}"

    @override
    def parts(self) -> dict[str, Content]:
        """None: its one part is a list of options."""
        return {}

    @override
    def compose(self) -> ComposeResult:
        with Vertical(id="frame") as frame:
            frame.border_title = Content(f" {self.title_text} ")
            frame.border_subtitle = "enter opens the job · esc cancels"
            yield OptionList()

    @override
    def draw(self) -> None:
        """Fits the list to the screen; what is hidden of it scrolls."""
        if not self.is_mounted:
            return
        frame, options = self.query_one("#frame"), self.query_one(OptionList)
        here, most = options.highlighted or 0, max(1, self.app.size.height - 4)
        frame.styles.width = self.frame_width
        frame.styles.height = min(len(self._places), most) + 2
        options.clear_options()
        options.add_options([Content(self._line(*one)) for one in self._places])
        options.highlighted = here

    def _line(self, queue: QueueKey, where: Whereabouts) -> str:
        room = max(8, self.frame_width - _STATES - 5)
        return f"{fit(plain(queue.name), room)} {where.state or 'in no state'}"

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Goes there."""
        self.answer(self._places[event.option_index])

    @override
    def why_not(self, action: Action) -> str:
        """Why an action can't act now; here Enter does answer."""
        return Acting.why_not(self, action)

    def action_select(self) -> None:
        """Goes to the queue under the cursor."""
        self.query_one(OptionList).action_select()

    @override
    def action_cursor_down(self) -> None:
        """The next queue."""
        self.query_one(OptionList).action_cursor_down()

    @override
    def action_cursor_up(self) -> None:
        """The queue before."""
        self.query_one(OptionList).action_cursor_up()

    @override
    def action_cursor_home(self) -> None:
        """The first queue."""
        self.query_one(OptionList).action_first()

    @override
    def action_cursor_end(self) -> None:
        """The last queue."""
        self.query_one(OptionList).action_last()

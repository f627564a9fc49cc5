"""Where a job stands, when it stands in several queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from typing_extensions import override

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reader import Whereabouts
from qtui.text import plain


class PlacesDialog(ModalScreen["tuple[QueueKey, Whereabouts] | None"]):
    """Lists queues that have a job of one id; answers with the one that is wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "leave"),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    DEFAULT_CSS = """
    PlacesDialog { align: center middle; background: $background 60%; }
    PlacesDialog > Vertical {
        width: 60; max-width: 96%; height: auto; max-height: 80%;
        border: round $accent; padding: 0 1; background: $surface;
    }
    PlacesDialog OptionList {
        height: auto; max-height: 20; border: none;
        &:focus { border: none; }
    }
    """

    def __init__(self, job_id: str, places: Sequence[tuple[QueueKey, Whereabouts]]) -> None:
        super().__init__()
        self._job_id = job_id
        self._places = places

    @override
    def compose(self) -> ComposeResult:
        with Vertical() as frame:
            frame.border_title = Content(f" Job {plain(self._job_id)} is in these queues ")
            frame.border_subtitle = "enter goes there · esc leaves"
            yield OptionList(*(Content(self._line(*one)) for one in self._places))

    def _line(self, queue: QueueKey, where: Whereabouts) -> str:
        return f"{plain(queue.name):<32} {where.state or 'in no state'}"

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Goes there."""
        self.dismiss(self._places[event.option_index])

    def action_down(self) -> None:
        """The next queue."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The queue before."""
        self.query_one(OptionList).action_cursor_up()

    def action_leave(self) -> None:
        """Leaves all as it is."""
        self.dismiss(None)

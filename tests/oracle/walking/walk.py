"""One walk: its steps, and after each of them what must hold."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtui.verbs import Verb
from tests.oracle.conftest import Drivers
from tests.oracle.stage import Side
from tests.oracle.walking.holding import Rules
from tests.oracle.walking.others import Others
from tests.oracle.walking.ours import Ours
from tests.oracle.walking.steps import Step
from tests.oracle.walking.undoing import Undoing
from tests.oracle.walking.world import World


class Walk:
    """One walk, over a queue of a release; others may pause and resume it."""

    def __init__(self, side: Side, drivers: Drivers) -> None:
        self.world = World(side, drivers, Path(tempfile.mkdtemp(prefix="qtui-walk-")))
        self.others = Others(self.world)
        self.ours = Ours(self.world)
        self.undoing = Undoing(self.world, self.ours)
        self.rules = Rules(self.world)

    def go(self, steps: Sequence[Step]) -> None:
        """Takes the steps, and looks after each; at the end all that waits may run."""
        world = self.world
        try:
            world.client.flushdb()
            world.side.open()
            for name, arguments in steps:
                self._take(name, arguments)
                self.rules.check()
            world.steps.append("the end")
            if world.is_paused():
                self.ours.pause_or_resume_by_qtui(Verb.RESUME)
            self.others.work_off()
            self.rules.check()
        except BaseException as error:
            error.add_note("\n".join(["The walk:", *world.steps]))
            raise
        finally:
            shutil.rmtree(world.folder)

    def _take(self, name: str, arguments: dict[str, Any]) -> None:
        actor = next(one for one in (self.others, self.ours, self.undoing) if hasattr(one, name))
        getattr(actor, name)(**arguments)

"""`qtui promote`: shows the plan, asks, promotes the jobs, and prints each job's result."""

from __future__ import annotations

from typing import Final

from qtui.commands.shared.picked import JobsCommand
from qtui.operations.promote.plan import PromotionPlan, make_promotion_plan
from qtui.operations.promote.resuming import resume_promotion
from qtui.verbs import Verb

PROMOTE: Final[JobsCommand[PromotionPlan]] = JobsCommand(
    verb=Verb.PROMOTE, plan=make_promotion_plan, resume=resume_promotion
)
"""What `act_on_jobs` and `resume_jobs` need of a promotion."""

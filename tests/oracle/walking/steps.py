"""The steps of which a walk is made."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from hypothesis import strategies as st

from qtui.bullmq.model import JobState
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.schedulers.action import Do
from qtui.verbs import Verb
from tests.oracle.flow_stage import CONTINUE, FAIL, IGNORE
from tests.oracle.walking.others import FAR
from tests.oracle.walking.undoing import Which

Step: TypeAlias = tuple[str, dict[str, Any]]
"""A method of `Others`, `Ours` or `Undoing`, and its arguments."""

OTHERS: Final = ("4.18.3", "5.81.5", "6.7.0")
FINISHED: Final = (JobState.FAILED, JobState.COMPLETED)


def step(name: str, **arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    """Steps of one kind."""
    return st.fixed_dictionaries(arguments).map(lambda found: (name, found))


ACTS: Final = (
    step(
        "retry",
        state=st.sampled_from(FINISHED),
        share=st.integers(1, 3),
        made=st.booleans(),
        cut=st.sampled_from([0, 0, 1, 2]),
    ),
    step(
        "remove",
        state=st.sampled_from([one for one in JobState if one is not JobState.ACTIVE]),
        share=st.integers(1, 3),
        below=st.booleans(),
        cut=st.sampled_from([0, 0, 1, 2]),
    ),
    step(
        "edit",
        pick=st.integers(0, 99),
        data=st.booleans(),
        priority=st.sampled_from([None, 0, 2]),
        delay=st.sampled_from([None, None, 0, FAR]),
        retry=st.sampled_from([False, False, True]),
    ),
    step("add_by_qtui", priority=st.sampled_from([0, 2]), delay=st.sampled_from([0, FAR])),
    step("promote", share=st.integers(1, 3), cut=st.sampled_from([0, 0, 1])),
    step("scheduler_by_qtui", do=st.sampled_from(list(Do))),
    step("rerun", pick=st.integers(0, 99), start=st.sampled_from(list(Start)), made=st.booleans()),
    step("duplicate", pick=st.integers(0, 99)),
    step("limit", concurrency=st.sampled_from([0, 1, 2])),
    step("pause_or_resume_by_qtui", verb=st.sampled_from([Verb.PAUSE, Verb.RESUME])),
)
"""What qtui does with jobs, queues and schedulers."""

STEPS: Final = st.one_of(
    step(
        "add",
        count=st.integers(1, 4),
        fails=st.booleans(),
        priority=st.sampled_from([0, 0, 1, 3]),
        lifo=st.booleans(),
        delayed=st.booleans(),
        attempts=st.integers(1, 2),
        once=st.sampled_from([False, False, True]),
    ),
    step(
        "flow",
        option=st.sampled_from(["", FAIL, IGNORE, CONTINUE]),
        fails=st.booleans(),
        both=st.booleans(),
        deep=st.booleans(),
    ),
    step("schedule"),
    step("work", all_of_it=st.booleans()),
    step("pause_or_resume", by=st.sampled_from(OTHERS), verb=st.sampled_from(["pause", "resume"])),
    step("promote_by_bullmq", pick=st.integers(0, 99)),
    step("remove_by_bullmq", pick=st.integers(0, 99)),
    step("retry_by_bullmq", pick=st.integers(0, 99), state=st.sampled_from(FINISHED)),
    *ACTS,
    step("and_back", act=st.one_of(ACTS), again=st.booleans()),
    step("and_back", act=st.one_of(ACTS), again=st.booleans()),
    step(
        "undo",
        pick=st.integers(0, 99),
        which=st.sampled_from([Which.ALL, Which.ALL, *Which]),
        cut=st.sampled_from([0, 0, 1, 2]),
    ),
)

"""`qtui why`: says why a queue does nothing, or why a job is where it is. Reads only."""

from __future__ import annotations

from qtui.bullmq.connection.client import Client
from qtui.bullmq.reads.queues.rates import Rates, read_rates
from qtui.bullmq.verdicts.job import judge_job, read_job_facts
from qtui.bullmq.verdicts.queue import judge_queue, read_queue_facts, states_of
from qtui.bullmq.verdicts.verdict import Verdict, Weight
from qtui.commands.shared.find import find_queue
from qtui.commands.shared.output import Paper
from qtui.commands.shared.run import DONE, NOT_ALL, Workplace
from qtui.text import plain
from qtui.views.queues.pulse import Seen, all_rates
from qtui.views.tone import Tone

_TONES = {
    Weight.FINE: Tone.GOOD,
    Weight.HELD: Tone.BUSY,
    Weight.WRONG: Tone.BAD,
    Weight.UNKNOWN: Tone.FAINT,
}


def explain_why(place: Workplace, queue: str, job_id: str | None, *, json: bool) -> int:
    """Prints the verdict on a queue or a job; returns `NOT_ALL` if something is wrong."""
    return place.ask(lambda client: _explain(client, place, queue, job_id, json=json))


async def _explain(
    client: Client, place: Workplace, name: str, job_id: str | None, *, json: bool
) -> int:
    queue = (await find_queue(client, place.settings.prefixes, name)).queue
    facts = await read_queue_facts(client, queue)
    verdict, rates = judge_queue(facts), None
    if job_id is not None:
        verdict = judge_job(await read_job_facts(client, queue, job_id), facts)
    else:
        [rates] = await read_rates(client, [queue])
    if json:
        place.out.json(
            {
                "queue": queue.base,
                **({} if job_id is None else {"id": job_id}),
                "verdict": verdict.code,
                "weight": verdict.weight.value,
                "words": verdict.words,
                "evidence": list(verdict.evidence),
                **({} if rates is None else {"rates": _per_second(rates)}),
            }
        )
    else:
        subject = queue.name if job_id is None else f"{queue.name} {job_id}"
        more = [] if rates is None else [all_rates(Seen(facts=facts, rates=rates))]
        said = {count for one in verdict.evidence for count in one.split(" · ")}
        counts = states_of(facts)
        if rates is not None and not said.issuperset(counts):
            more.insert(0, " · ".join(counts))
        _print(place.out, subject, verdict, *more)
    missing = verdict.code == "gone"
    return NOT_ALL if verdict.weight is Weight.WRONG or missing else DONE


def _per_second(rates: Rates) -> dict[str, dict[str, float | None]]:
    """Jobs a second that ended, by state and window in seconds; None where none is kept."""
    states = {"completed": rates.completed, "failed": rates.failed}
    return {
        state: {
            str(seconds): None if rate is None else round(rate, 3)
            for seconds, rate in found.items()
        }
        for state, found in states.items()
    }


def _print(paper: Paper, subject: str, verdict: Verdict, *more: str) -> None:
    tone = _TONES[verdict.weight]
    paper.line(f"{plain(subject)}: {paper.styled(plain(verdict.words), tone)}")
    for one in verdict.evidence:
        paper.line(f"  {plain(one)}")
    for one in more:
        if one:
            paper.line(f"  {one}")

"""How a run of a procedure goes on: by people's deeds, by agencies' receipts and by time. Pure.

Each function returns the run as it is then, what the timeline says of it and what there is to send. Nothing is sent
here: whoever keeps the run keeps what is to be sent in the same transaction, so that both happen or neither does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from hanmaru.centre.domain import CentreError, Text
from hanmaru.centre.events.model import SYSTEM, Entry
from hanmaru.centre.procedures.model import (
    ACTIVE,
    SETTLED,
    Deed,
    Order,
    Procedure,
    Receipt,
    Run,
    Rung,
    Step,
    StepRun,
    Tick,
)

MOST_SENDS = 20
"""How often one step may be sent again."""


@dataclass(slots=True)
class Progress:
    """A run on its way: what it has become, the entries and orders that this made, the rungs that were climbed."""

    run: Run
    entries: list[Entry] = field(default_factory=list[Entry])
    orders: list[Order] = field(default_factory=list[Order])
    climbed: list[tuple[int, Rung]] = field(default_factory=list[tuple[int, Rung]])

    def put(self, step: Step, at: StepRun) -> None:
        """Set how far a step has come."""
        self.run = replace(self.run, steps={**self.run.steps, step.id: at})

    def say(self, now: float, who: str, what: str, en: str, ko: str, step: str = "", **detail: Any) -> None:
        """Add an entry to the timeline."""
        self.entries.append(Entry(now, who, what, {"en": en, "ko": ko}, {**({"step": step} if step else {}), **detail}))


def start(procedure: Procedure, id: str, event: str, who: str, now: float) -> Progress:
    """Begin a procedure for an event."""
    run = Run(id, event, procedure, now, {step.id: StepRun() for step in procedure.steps})
    progress = Progress(run)
    en, ko = titles(procedure.name)
    progress.say(now, who, "procedure.started", f"Procedure started: {en}", f"절차 시작: {ko}", procedure=procedure.id)
    _flow(progress, now)
    return progress


def act(run: Run, id: str, deed: Deed, who: str, now: float, *, may_skip: bool) -> Progress:
    """Do something with a step. ``may_skip``: who does it may leave out a required step.

    Raises CentreError where there is no such step, it is not its turn, or it is not done in that way.
    """
    if run.state != "running":
        raise CentreError("this procedure is over: start another one if there is more to do")
    if (found := run.step(id)) is None:
        raise CentreError(f"there is no step {id!r} in this procedure: take one of {', '.join(run.steps)}")
    step, at = found
    if at.state not in ACTIVE:
        raise CentreError(f"step {id!r} is {at.state}: only a step that is open can be worked on")
    progress = Progress(run)
    en, ko = titles(step.title)
    match deed.do, step.kind:
        case "tick" | "untick", "checklist":
            _tick(progress, step, at, deed, who, now)
        case "done", "task":
            _settle(progress, step, at, who, now, f"Done: {en}", f"완료: {ko}", deed.text)
        case "done", "checklist":
            if left := [one.id for one in step.items if one.id not in at.ticked]:
                raise CentreError(f"tick every item first; {', '.join(left)} are left")
            _settle(progress, step, at, who, now, f"Done: {en}", f"완료: {ko}", deed.text)
        case "choose", "decision":
            option = next((one for one in step.options if one.id == deed.option), None)
            if option is None:
                raise CentreError(f"choose one of {', '.join(one.id for one in step.options)}")
            told = titles(option.text)
            at = replace(at, chosen=option.id)
            _settle(progress, step, at, who, now, f"{en}: {told[0]}", f"{ko}: {told[1]}", deed.reason, chosen=option.id)
        case "send", "message" | "handover":
            if step.kind == "handover" and at.receipt and at.receipt.state in ("queued", "sent"):
                raise CentreError("this is on its way already: wait for the agency's answer")
            if at.sends >= MOST_SENDS:
                raise CentreError("this was sent often enough: call the agency, then skip the step with the reason")
            _send(progress, step, at, who, now, deed.text)
        case "skip", _:
            if step.required and not may_skip:
                raise CentreError("this step is required: only a supervisor may leave it out")
            if not (reason := deed.reason.strip()):
                raise CentreError("give a reason for leaving the step out")
            gone = replace(at, state="skipped", done_at=now, done_by=who, reason=reason[:2000])
            progress.put(step, gone)
            progress.say(now, who, "step.skipped", f"Left out: {en}: {reason}", f"생략: {ko}: {reason}", step.id)
        case _:
            raise CentreError(f"a {step.kind} is not worked on with {deed.do!r}: use {' or '.join(WAYS[step.kind])}")
    _flow(progress, now)
    return progress


WAYS = {
    "task": ("done", "skip"),
    "checklist": ("tick", "untick", "done", "skip"),
    "message": ("send", "skip"),
    "handover": ("send", "skip"),
    "decision": ("choose", "skip"),
    "wait": ("skip",),
}
"""What may be done with a step of each kind."""


def tick(run: Run, now: float) -> Progress:
    """Let time pass: waits end, steps become overdue, and rungs of the ladder are climbed for those that stay so."""
    progress = Progress(run)
    if run.state != "running":
        return progress
    for step in run.procedure.steps:
        at = progress.run.steps[step.id]
        if at.state not in ACTIVE or at.due is None or now < at.due:
            continue
        en, ko = titles(step.title)
        if step.kind == "wait":
            _settle(progress, step, at, SYSTEM, now, f"Waited: {en}", f"대기 완료: {ko}")
            continue
        if at.state == "open":
            at = replace(at, state="overdue")
            progress.put(step, at)
            progress.say(now, SYSTEM, "step.overdue", f"Overdue: {en}", f"기한 경과: {ko}", step.id)
        ladder = run.procedure.escalation
        while at.level < len(ladder) and now >= (at.due or now) + ladder[at.level].after_s:
            _climb(progress, step, at.level, ladder[at.level], now)
            at = replace(at, level=at.level + 1)
            progress.put(step, at)
    _flow(progress, now)
    return progress


def due(run: Run) -> float | None:
    """Return when time next changes something in a run; None for never."""
    if run.state != "running":
        return None
    ladder = run.procedure.escalation
    times: list[float] = []
    for at in run.steps.values():
        if at.state not in ACTIVE or at.due is None:
            continue
        if at.state == "open":
            times.append(at.due)
        elif at.level < len(ladder):
            times.append(at.due + ladder[at.level].after_s)
    return min(times, default=None)


def receive(run: Run, step_id: str, receipt: Receipt, now: float) -> Progress:
    """Note how a step's hand-over stands; one of an earlier sending, or of a step that is settled, only in the
    timeline."""
    progress = Progress(run)
    found = run.step(step_id)
    who = f"agency:{receipt.agency}"
    told = _RECEIPTS[receipt.state]
    kind = found[0].agency if found else None
    name_en, name_ko = named(f"agency:{kind}") if kind else (receipt.agency, receipt.agency)
    more = f": {receipt.text}" if receipt.text else ""
    if receipt.state != "queued":
        progress.say(
            now,
            who if receipt.state in ("accepted", "declined", "finished") else SYSTEM,
            f"agency.{receipt.state}",
            f"{told[0]}: {name_en}{more}",
            f"{told[1]}: {name_ko}{more}",
            step_id,
            agency=receipt.agency,
            key=receipt.key,
            **({"reference": receipt.reference} if receipt.reference else {}),
        )
    if found is None or run.state != "running" or (found[1].receipt and found[1].receipt.key != receipt.key):
        return progress
    step, at = found
    at = replace(at, receipt=receipt)
    if at.state in ACTIVE and receipt.state in ("accepted", "finished"):
        at = replace(at, state="done", done_at=now, done_by=who)
    elif at.state in ACTIVE and receipt.state in ("declined", "refused"):
        at = replace(at, state="failed", due=now)
    progress.put(step, at)
    _flow(progress, now)
    return progress


def end(run: Run, who: str, reason: str, now: float) -> Progress:
    """End a run before its time: what is left is left out."""
    progress = Progress(run)
    if run.state != "running":
        return progress
    for step in run.procedure.steps:
        at = run.steps[step.id]
        if at.state not in SETTLED:
            progress.put(step, replace(at, state="skipped", done_at=now, done_by=who, reason=reason))
    progress.run = replace(progress.run, state="ended", ended=now)
    en, ko = f"Procedure ended early: {reason}", f"절차 조기 종료: {reason}"
    progress.say(now, who, "procedure.ended", en, ko, procedure=run.procedure.id)
    return progress


def titles(text: Text) -> tuple[str, str]:
    """Return a text in English and Korean."""
    return text.get("en", ""), text.get("ko", text.get("en", ""))


_RECEIPTS = {
    "queued": ("Waits to be sent", "발송 대기"),
    "sent": ("Arrived at the agency", "기관 도달"),
    "accepted": ("Accepted by the agency", "기관 접수"),
    "declined": ("Declined by the agency", "기관 반려"),
    "refused": ("Could not be handed over", "이관 실패"),
    "finished": ("Finished by the agency", "기관 처리 완료"),
}


def _flow(progress: Progress, now: float) -> None:
    """Open what is next until nothing more opens; each step opens at most once, so this ends."""
    moved = True
    while moved and progress.run.state == "running":
        moved = False
        previous: Sequence[str] = ()
        for step in progress.run.procedure.steps:
            needed = previous if step.after is None else step.after
            previous = (step.id,)
            steps = progress.run.steps
            if steps[step.id].state == "waiting" and all(steps[id].state in SETTLED for id in needed):
                moved = True
                if step.only and not _chosen(progress.run, step.only):
                    progress.put(step, StepRun("skipped", done_at=now, done_by=SYSTEM))
                else:
                    _open(progress, step, now)
    if progress.run.state == "running" and all(at.state in SETTLED for at in progress.run.steps.values()):
        progress.run = replace(progress.run, state="finished", ended=now)
        en, ko = titles(progress.run.procedure.name)
        progress.say(now, SYSTEM, "procedure.finished", f"Procedure finished: {en}", f"절차 완료: {ko}")


def _chosen(run: Run, only: Sequence[str]) -> bool:
    return any(run.steps[decision].chosen == option for decision, _, option in (each.partition(":") for each in only))


def _open(progress: Progress, step: Step, now: float) -> None:
    lasts = step.wait_s if step.kind == "wait" else step.due_s
    at = StepRun("open", opened=now, due=None if lasts is None else now + lasts)
    progress.put(step, at)
    if step.auto:
        _send(progress, step, at, SYSTEM, now, "")


def _send(progress: Progress, step: Step, at: StepRun, who: str, now: float, said: str) -> None:
    run, (en, ko) = progress.run, titles(step.title)
    text: Text = {"en": said, "ko": said} if said else (step.text or step.title)
    key = f"{run.id}:{step.id}:{at.sends + 1}"
    if step.kind == "message":
        progress.orders.append(Order("message", step.to, text, step.id, key=key))
        at = replace(at, sends=at.sends + 1)
        _settle(progress, step, at, who, now, f"Message sent: {en}", f"메시지 발송: {ko}", to=step.to)
        return
    agency = step.agency or ""
    progress.orders.append(Order("handover", agency, text, step.id, step.include, step.basis, key))
    receipt = Receipt(key, agency, "queued", now)
    progress.put(step, replace(at, state="open" if at.state == "failed" else at.state, receipt=receipt,
                               sends=at.sends + 1, due=_again(step, at, now)))  # fmt: skip
    progress.say(now, who, "agency.queued", f"Handed over: {en}", f"이관: {ko}", step.id, agency=agency, key=key)


def _again(step: Step, at: StepRun, now: float) -> float | None:
    """Return when a sending is due: one that failed before has its time anew."""
    return at.due if at.state != "failed" else None if step.due_s is None else now + step.due_s


def _tick(progress: Progress, step: Step, at: StepRun, deed: Deed, who: str, now: float) -> None:
    item = next((one for one in step.items if one.id == deed.item), None)
    if item is None:
        raise CentreError(f"name one of the items {', '.join(one.id for one in step.items)}")
    ticked = {id: one for id, one in at.ticked.items() if id != item.id}
    if deed.do == "tick":
        ticked[item.id] = at.ticked.get(item.id) or Tick(who, now)
    en, ko = titles(item.text)
    mark = "☑" if deed.do == "tick" else "☐"
    progress.put(step, replace(at, ticked=ticked))
    progress.say(now, who, f"item.{deed.do}ed", f"{mark} {en}", f"{mark} {ko}", step.id, item=item.id)


def _settle(
    progress: Progress, step: Step, at: StepRun, who: str, now: float, en: str, ko: str, more: str = "", **detail: Any
) -> None:
    more = more.strip()[:2000]
    progress.put(step, replace(at, state="done", done_at=now, done_by=who, reason=more))
    tail = f" ({more})" if more else ""
    progress.say(now, who, "step.done", en + tail, ko + tail, step.id, **detail)


def _climb(progress: Progress, step: Step, level: int, rung: Rung, now: float) -> None:
    en, ko = titles(step.title)
    name_en, name_ko = named(rung.to)
    text = {"en": f"Nobody has acted: {en}", "ko": f"조치 없음: {ko}"}
    progress.orders.append(order_of(rung, text, f"{progress.run.id}:{step.id}:rung{level + 1}"))
    progress.climbed.append((level + 1, rung))
    progress.say(
        now,
        SYSTEM,
        "escalated",
        f"Escalated to {name_en}: {en}",
        f"{name_ko}에 상향 보고: {ko}",
        step.id,
        level=level + 1,
        to=rung.to,
    )


NAMES: Mapping[str, tuple[str, str]] = {
    "operator": ("the operators", "관제요원"),
    "supervisor": ("the supervisor", "관제 책임자"),
    "cctv-officer": ("the CCTV officer", "영상정보 담당자"),
    "all": ("everybody", "전체"),
    "agency:police": ("the police", "경찰"),
    "agency:fire": ("the fire service", "소방"),
    "agency:disaster": ("disaster control", "재난 부서"),
    "agency:medical": ("the medical service", "의료기관"),
    "agency:construction": ("the construction site", "공사 현장"),
}


def named(to: str) -> tuple[str, str]:
    """Return in words, English and Korean, whom a rung tells."""
    return NAMES.get(to, (to, to))


def order_of(rung: Rung, text: Text, key: str) -> Order:
    """Return what is sent when a rung is climbed: a message to people, or a hand-over to an agency of a kind."""
    kind, _, agency = rung.to.partition(":")
    return Order("handover", agency, text, key=key) if kind == "agency" else Order("message", rung.to, text, key=key)


Clock = Callable[[], float]

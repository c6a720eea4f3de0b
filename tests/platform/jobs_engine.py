"""An engine of its own for tests of jobs: ``python jobs_engine.py URL FOLDER`` runs until it is killed.

Each step appends a line to ``steps.txt`` in the folder. The file ``omit`` there names rooms that are not installed.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from hanmaru.platform import logs
from hanmaru.platform.jobs import Declared, Schedule, Steps, Workflow, declared
from hanmaru.platform.jobs.client import Jobs

DAYS_3 = 3 * 86_400


class Request(msgspec.Struct):
    """What the approval workflow is started with."""

    case: str
    timeout_s: float = DAYS_3


def note(folder: Path, line: str) -> str:
    """Append a line, as a step's side effect that a test can count."""
    with (folder / "steps.txt").open("a") as file:
        file.write(line + "\n")
    return line


async def approval(steps: Steps, request: Request) -> dict[str, Any]:
    """Ask, wait for a decision for up to three days, then act on it; escalate when none comes."""
    await steps.run("ask", note, steps.context, f"asked {request.case}")
    await steps.publish("case", request.case)
    answer = await steps.wait_for("decision", request.timeout_s)
    if answer is None:
        await steps.run("escalate", note, steps.context, f"escalated {request.case}")
        return {"outcome": "escalated"}
    await steps.run("act", note, steps.context, f"acted {request.case} by {answer['by']}")
    return {"outcome": "acted", "by": answer["by"]}


async def crashing(steps: Steps, case: str) -> None:
    """Die in the middle of the second step, the first time."""

    def once() -> None:
        note(steps.context, f"second {case}")
        if (steps.context / "die").exists():
            (steps.context / "die").unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    await steps.run("first", note, steps.context, f"first {case}")
    await steps.run("second", once)


async def failing(steps: Steps, case: str) -> None:
    """Fail in a step, with an exception whose text must not be kept."""

    def fail() -> None:
        raise ValueError(f"the telephone number of {case} is 010-1234-5678")

    await steps.run("fail", fail, retries=0)


async def too_much(steps: Steps, _: Any) -> None:
    """Return more from a step than may be kept."""
    await steps.run("load", lambda: "x" * 10_000, retries=0)


async def tick(steps: Steps, _: Any) -> None:
    """Leave a line for a tick."""
    await steps.run("tick", note, steps.context, steps.id)


def rooms(omit: str = "") -> Declared:
    """Return what the test's rooms declare, but for those omitted."""
    title = {"en": "Approval", "ko": "승인"}
    every = {
        "desk": [
            Workflow("approval", approval, title, Request),
            Workflow("crashing", crashing, title, str),
            Workflow("failing", failing, title),
            Workflow("too-much", too_much, title),
        ],
        "clock": [Workflow("tick", tick, title)],
    }
    schedules = {"clock": [Schedule("seconds", "tick", every_s=2)]}
    return declared((room, every[room], schedules.get(room, ())) for room in every if room not in omit)


async def main(url: str, folder: Path) -> None:
    """Run the engine until SIGTERM."""
    from hanmaru.platform.jobs.engine import run_jobs

    omit = (folder / "omit").read_text() if (folder / "omit").exists() else ""
    jobs = Jobs(url, rooms(omit))
    task = asyncio.create_task(run_jobs(url, jobs, lambda _room: folder))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        print("stopped")
    finally:
        jobs.close()


if __name__ == "__main__":
    logs.set_up("engine", format="json")
    import uvloop

    uvloop.run(main(sys.argv[1], Path(sys.argv[2])))

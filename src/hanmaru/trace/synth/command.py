"""``hanmaru trace synth``: write the test city."""

import resource
import time
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from hanmaru.platform.console import say
from hanmaru.trace import synth
from hanmaru.trace.domain import TraceError
from hanmaru.trace.synth import write
from hanmaru.trace.synth.presence import MOST_CASES

MOST_DAYS = 60


def run(
    out: Path, people: int, days: int, start: str, seed: int, layout: str, cases: int, profile: str, as_json: bool
) -> None:
    """Write the test city to a folder. Raises TraceError for what the user can correct."""
    began = time.perf_counter()
    try:
        first = date.fromisoformat(start)
    except ValueError:
        raise TraceError(f"--start {start} is no date; write it as 2026-03-02") from None
    if people < 10 or not 1 <= days <= MOST_DAYS or not 0 <= cases <= MOST_CASES:
        raise TraceError(f"ask for 10 people or more, 1 to {MOST_DAYS} days, and at most {MOST_CASES} cases")
    told = write.Told()
    write.folder(out)
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as bar:
        task = bar.add_task("making the city", total=1.0)
        world = synth.city(people, days, first, seed, layout, profile)
        write.world(world, out, cases, told, lambda what, share: bar.update(task, description=what, completed=share))
    seconds = time.perf_counter() - began
    made = told.counts["case folders"]
    warnings = [f"only {made} cases with a phone are reported on these days; take more --days"] if made < cases else []
    summary = {
        "out": str(out),
        "layout": layout,
        "seed": seed,
        "rows": told.counts,
        "seconds": round(seconds, 2),
        "warnings": warnings,
        "events_per_s": round(told.counts.get("phone", 0) / seconds),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
    }
    rows = told.counts
    say(
        summary,
        f"{rows['people']:,} people, {rows['phone']:,} phone events, {rows['cards']:,} card records, "
        f"{rows['encounters']:,} encounters, {rows['cases']:,} reported cases in {seconds:.1f} s: {out}"
        + "".join(f"\nnote: {w}" for w in warnings),
        as_json,
    )

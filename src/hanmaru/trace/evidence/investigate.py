"""The whole investigation of one case: evidence in, route, contacts, hotspots and cameras out.

Nothing is read or written here, so that the command line and the hub's jobs share it.
"""

from typing import Any

from hanmaru.trace.evidence import results, work
from hanmaru.trace.evidence.inputs import Case, CaseInputs

__all__ = ["Case", "CaseInputs", "investigate"]


def investigate(inputs: CaseInputs, progress: work.Progress = lambda stage, share: None) -> dict[str, Any]:
    """Return an investigation's results as docs/reference/trace-files.md describes ``results.json``.

    Every result names the rows of evidence behind it. ``progress`` is told each stage as it begins. Raises TraceError
    where no table says where anything is.
    """
    found = work.work_out(inputs, progress)
    progress("results", 0.95)
    return results.document(inputs, found)

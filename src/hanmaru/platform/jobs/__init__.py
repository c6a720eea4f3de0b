"""Durable workflows and schedules: work that survives restarts, waits for days, and runs each step once.

A service declares `Workflow`s and `Schedule`s in its manifest and starts them through the `RoomJobs` of its context.
The engine worker runs them (`hanmaru.platform.jobs.engine`) on DBOS, whose tables lie in ``jobs.db`` of the data
folder, or in the hub's PostgreSQL. Importing this package imports nothing of DBOS.
"""

from hanmaru.platform.jobs.manifest import Declared, Schedule, Steps, Workflow, declared
from hanmaru.platform.jobs.payload import JobError

__all__ = ["Declared", "JobError", "Schedule", "Steps", "Workflow", "declared"]

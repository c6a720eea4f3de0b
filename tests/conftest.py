"""On a machine that should have everything (``CI=true``), a test that skips for want of something has failed."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

COMPLETE = os.environ.get("CI") == "true"

LONG = (
    "screens/test_trace.py",
    "connectors/test_series.py",
    "screens/test_office.py",
    "trace/test_lake.py",
    "house/test_example_energy.py",
    "screens/test_centre_events.py",
    "trace/test_lake_cli.py",
    "house/test_backup.py",
    "screens/test_kiosk.py",
    "screens/test_screen.py",
    "screens/test_health_app.py",
    "screens/test_centre_cctv.py",
    "screens/test_centre_replay.py",
    "trace/test_synth.py",
    "ride/test_darp.py",
    "screens/test_ride.py",
    "care/test_hospital.py",
)
"""The files that take longest, longest first: begun early, none is left for a single process at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long files first; all others stay in their order."""
    root = Path(__file__).parent
    place = {root / name: n for n, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(LONG)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where nothing may be missing."""
    report = yield
    if COMPLETE and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped on a machine that should have everything: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a whole module that skips."""
    report = yield
    if COMPLETE and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped on a machine that should have everything: {report.longrepr}"
    return report

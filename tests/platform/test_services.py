"""Finding services: what cannot be loaded is left out, and the rest runs."""

from importlib.metadata import EntryPoint

import pytest

from hanmaru.platform import services


def test_a_service_that_cannot_be_loaded_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    good = EntryPoint("centre", "hanmaru.centre.service:service", services.ENTRY_POINT_GROUP)
    missing = EntryPoint("broken", "no_such_package:service", services.ENTRY_POINT_GROUP)
    other = EntryPoint("other", "json:dumps", services.ENTRY_POINT_GROUP)
    monkeypatch.setattr(services, "entry_points", lambda group: [missing, other, good])
    assert [service.name for service in services.installed()] == ["centre"]

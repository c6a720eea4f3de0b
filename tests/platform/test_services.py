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


@pytest.mark.parametrize("name", ["trace-received", "handover", "../centre", "", "Trace", "a" * 33])
def test_a_service_does_not_take_a_name_that_the_hub_works_under(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed_as(monkeypatch, (name, name)) == []


def test_a_service_has_its_entry_points_name_and_no_other_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed_as(monkeypatch, ("bikes", "trace")) == []
    assert installed_as(monkeypatch, ("trace", "trace"), ("trace", "trace")) == ["trace"]
    assert installed_as(monkeypatch, ("trace", "trace"), ("bikes", "bikes")) == ["bikes", "trace"]


@pytest.mark.parametrize("path", ["/", "", "trace", "/api", "/api/trace/v1", "/assets", "/Trace", "/{name}", "/trace/"])
def test_a_page_does_not_take_addresses_that_are_not_its_own(path: str) -> None:
    with pytest.raises(ValueError, match="page's path"):
        services.Page("all", {"en": "All"}, path, "page.js")


def test_a_page_has_an_address_of_small_words() -> None:
    assert services.Page("all", {"en": "All"}, "/trace/who-knows", "page.js").permission == "read"


def installed_as(monkeypatch: pytest.MonkeyPatch, *names: tuple[str, str]) -> list[str]:
    """Return the names of the services found of packages with (entry point, service name)."""

    def load(point: EntryPoint) -> services.Service[object]:
        return services.Service(point.value, {"en": point.value})

    monkeypatch.setattr(EntryPoint, "load", load)
    points = [EntryPoint(point, name, services.ENTRY_POINT_GROUP) for point, name in names]
    monkeypatch.setattr(services, "entry_points", lambda group: points)
    return [service.name for service in services.installed()]

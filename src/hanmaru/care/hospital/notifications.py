"""What a notification looks like on the wire."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from hanmaru.care.fhir import text
from hanmaru.care.fhir.values import Version
from hanmaru.care.hospital.subscriptions import JSON, Watch

ID_HEADER: Final = "Hanmaru-Notification-Id"
NUMBER_HEADER: Final = "Hanmaru-Event-Number"
_BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"


class Notification(NamedTuple):
    """A request to send. ``id`` is the same at each attempt, so that a receiver can tell a repetition."""

    id: str
    method: Literal["POST", "PUT"]
    uri: str
    headers: Mapping[str, str]
    body: bytes


def notification(watch: Watch, seq: int, number: int, version: Version) -> Notification:
    """Return the request that tells a subscription of a change; ``number`` counts the subscription's notifications."""
    id = f"urn:uuid:{uuid5(NAMESPACE_URL, f'{watch.id} {seq}')}"
    headers = {ID_HEADER: id, NUMBER_HEADER: str(number), **dict(watch.headers)}
    if watch.content == "none":
        return Notification(id, "POST", watch.endpoint, headers, b"")
    headers["Content-Type"] = f"{JSON}; charset=utf-8"
    if watch.content == "resource":
        uri = f"{watch.endpoint.rstrip('/')}/{version.type}/{version.id}"
        return Notification(id, "PUT", uri, headers, version.text)
    return Notification(id, "POST", watch.endpoint, headers, text.encode(_bundle(watch, number, version)))


def _bundle(watch: Watch, number: int, version: Version) -> dict[str, Any]:
    """The R4 backport's notification: how the subscription stands, then what happened."""
    name = f"{version.type}/{version.id}"
    at = datetime.fromtimestamp(version.at / 1e6, UTC).isoformat(timespec="milliseconds")
    event: list[dict[str, Any]] = [
        {"name": "event-number", "valueString": str(number)},
        {"name": "timestamp", "valueInstant": at},
    ]
    if watch.content != "empty":
        event.append({"name": "focus", "valueReference": {"reference": name}})
    status = {
        "resourceType": "Parameters",
        "meta": {"profile": [f"{_BACKPORT}/backport-subscription-status-r4"]},
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": f"Subscription/{watch.id}"}},
            {"name": "status", "valueCode": "active"},
            {"name": "type", "valueCode": "event-notification"},
            {"name": "events-since-subscription-start", "valueString": str(number)},
            {"name": "notification-event", "part": event},
        ],
    }
    request = {"method": "GET", "url": f"Subscription/{watch.id}/$status"}
    entries: list[dict[str, Any]] = [{"resource": status, "request": request, "response": {"status": "200"}}]
    if watch.content != "empty":
        made = version.version == 1
        entry: dict[str, Any] = {"resource": text.decode(version.text)} if watch.content == "full-resource" else {}
        entry["request"] = {"method": "POST", "url": version.type} if made else {"method": "PUT", "url": name}
        entry["response"] = {"status": "201" if made else "200", "location": f"{name}/_history/{version.version}"}
        entries.append(entry)
    return {
        "resourceType": "Bundle",
        "type": "history",
        "meta": {"profile": [f"{_BACKPORT}/backport-subscription-notification-r4"]},
        "timestamp": at,
        "entry": entries,
    }

"""Whatever happens in the city, however it is cut into windows and wherever a viewer comes in: it ends at the city."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.centre.frames import LARGE, Frame, Ring, Window, compact
from hanmaru.hub.client import EntityChange

City = dict[str, dict[str, Any]]


def change(seq: int, id: str, kind: Any = "updated", touched: tuple[str, ...] = (), **values: Any) -> EntityChange:
    return EntityChange(seq, f"2026-03-01T00:00:{seq:02}Z", kind, id, ["Sensor"], touched or tuple(values), values)


def data_of(frame: Frame) -> dict[str, Any]:
    lines = dict(line.split(b": ", 1) for line in frame.body.strip().split(b"\n"))
    assert lines[b"event"] == b"frame"
    assert lines[b"id"] == str(frame.last).encode()
    return msgspec.json.decode(lines[b"data"])


def view(city: City, frames: list[Frame]) -> City:
    """Apply frames as the screen does."""
    city = {id: dict(values) for id, values in city.items()}
    for frame in frames:
        data = data_of(frame)
        for id in data["gone"]:
            city.pop(id, None)
        for entries in data["set"].values():
            for id, touched in entries:
                entity = city.setdefault(id, {})
                entity |= {name: value for name, value in touched.items() if name != "modifiedAt"}
                for name in [name for name, value in entity.items() if value is None]:
                    del entity[name]
    return city


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[City], list[EntityChange]]:
    """Draw changes and the city after each of them; ``cities[n]`` is the city at sequence number n."""
    cities: list[City] = [{}]
    changes: list[EntityChange] = []
    for seq in range(1, draw(st.integers(0, 40)) + 1):
        city = {id: dict(values) for id, values in cities[-1].items()}
        id = draw(st.sampled_from(["a", "b", "c"]))
        if id not in city:
            city[id] = draw(st.dictionaries(st.sampled_from("xyz"), st.integers(0, 9)))
            changes.append(change(seq, id, "created", **city[id]))
        elif draw(st.booleans()) and draw(st.booleans()):
            changes.append(change(seq, id, "deleted", **city.pop(id)))
        else:
            touched = draw(st.sets(st.sampled_from("xyz"), min_size=1))
            for name in touched:
                if draw(st.integers(0, 3)):
                    city[id][name] = draw(st.integers(0, 9))
                else:
                    city[id].pop(name, None)
            changes.append(change(seq, id, "updated", tuple(touched), **city[id]))
        cities.append(city)
    return cities, changes


def framed(changes: list[EntityChange], cuts: list[bool]) -> list[Frame]:
    """Cut changes into frames: one is taken after each change whose cut is true, and one at the end."""
    window = Window(0)
    frames: list[Frame | None] = []
    for number, one in enumerate(changes):
        window.add([one])
        if number < len(cuts) and cuts[number]:
            frames.append(window.take())
    frames.append(window.take())
    return [frame for frame in frames if frame]


@given(histories(), st.lists(st.booleans(), max_size=40))
def test_frames_lead_from_nothing_to_the_city(history: tuple[list[City], list[EntityChange]], cuts: list[bool]) -> None:
    cities, changes = history
    assert view({}, framed(changes, cuts)) == cities[-1]


@given(histories(), st.lists(st.booleans(), max_size=40), st.data())
def test_a_viewer_resumes_anywhere_and_misses_nothing(
    history: tuple[list[City], list[EntityChange]], cuts: list[bool], data: st.DataObject
) -> None:
    cities, changes = history
    ring = Ring(max_frames=data.draw(st.integers(1, 50)))
    for frame in framed(changes, cuts):
        ring.append(frame)
    seen = data.draw(st.integers(0, len(changes)))
    snapshot = cities[data.draw(st.integers(seen, len(changes)))]  # read a little after its sequence number was
    position = ring.find(seen)
    if position is None:
        return  # too old: the viewer reads a new snapshot
    frames = ring.since(position)
    assert frames is not None
    assert view(snapshot, list(frames)) == cities[-1]


@given(histories())
def test_a_window_holds_an_entity_once(history: tuple[list[City], list[EntityChange]]) -> None:
    for frame in framed(history[1], []):
        data = data_of(frame)
        ids = [id for entries in data["set"].values() for id, _ in entries]
        assert len(ids) == len(set(ids)) <= 3


def test_an_empty_window_gives_no_frame() -> None:
    assert Window(7).take() is None


def test_a_frame_carries_only_what_was_touched() -> None:
    window = Window(0)
    window.add([change(1, "a", "updated", ("x",), x=1, y=2)])
    frame = window.take()
    assert frame
    assert data_of(frame)["set"] == {"Sensor": [["a", {"x": 1, "modifiedAt": "2026-03-01T00:00:01Z"}]]}


def test_the_ring_forgets_the_oldest_by_number_and_by_bytes() -> None:
    ring = Ring(max_frames=2)
    for n in range(3):
        ring.append(Frame(n, n + 1, b"x"))
    assert (ring.find(0), ring.find(1)) == (None, 1)
    small = Ring(max_bytes=10)
    for n in range(3):
        small.append(Frame(n, n + 1, b"12345678"))
    assert [frame.last for frame in small.since(small.start) or ()] == [3]


def test_a_cleared_ring_knows_no_old_position() -> None:
    ring = Ring()
    ring.append(Frame(0, 5, b"x"))
    position = ring.end
    ring.clear(9)
    assert ring.since(position) is None
    assert ring.find(8) is None
    assert ring.find(9) == ring.end


def test_large_objects_stay_out_and_instants_come_plain() -> None:
    values = {
        "id": "urn:x",
        "location": {"type": "LineString", "coordinates": [[0.1, 0.1]] * 100},
        "plan": {"text": "x" * LARGE},
        "dateObserved": {"@type": "DateTime", "@value": "2026-03-01T00:00:00Z"},
        "level": 3,
    }
    assert set(compact(values)) == {"location", "dateObserved", "level"}
    assert compact(values)["dateObserved"] == "2026-03-01T00:00:00Z"
    assert compact(values, ["level", "gone"]) == {"level": 3, "gone": None}

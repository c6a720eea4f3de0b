"""The log makes the state, to the bit: from its start, and from any snapshot on."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.domain import RideError
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.commands import Tick
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.engine.state import State
from tests.ride.line import T0, line, request
from tests.ride.town import Town

ENCODER, DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(e.AnyEvent)


@settings(max_examples=5, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.floats(0, 1))
def test_a_snapshot_and_the_rest_of_the_log_give_what_the_whole_log_gives(seed: int, cut: float) -> None:
    town = Town(seed)
    snapshots = [(0, town.dispatcher.state.dumps())]
    for _ in range(60):
        what = town.rng.random()
        if what < 0.4:
            town.ask(seats=int(town.rng.integers(1, 4)))
        elif what < 0.75:
            town.accept()
        else:
            town.mischief()
        town.drive(20)
        snapshots.append((len(town.log), town.dispatcher.state.dumps()))
    digest = town.dispatcher.digest()
    log = [DECODER.decode(ENCODER.encode(event)) for event in town.log]
    for at, snapshot in (snapshots[0], snapshots[int(cut * 60)]):
        again = Dispatcher(town.config, State.loads(snapshot), town.travel)
        for event in log[at:]:
            again.apply(event)
        assert again.digest() == digest


def test_a_gap_in_the_log_is_found() -> None:
    dispatcher, again = line(0), line(0)
    log = dispatcher.handle(request("a", 1, 3), T0)
    with pytest.raises(RideError, match="gap"):
        again.apply(log[1])


def test_a_day_keeps_the_arrays_as_short_as_what_is_open() -> None:
    dispatcher = line(0)

    for k in range(2000):
        dispatcher.handle(request(f"r{k}", 1, 3), T0 + 10 * k)
        dispatcher.handle(Tick(), T0 + 10 * k)
    assert dispatcher.state.requests.size < 500
    with pytest.raises(RideError, match="finished long ago"):
        dispatcher.state.slot("r0")


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x81\xa3seq\x01"])
def test_bytes_that_are_no_snapshot_are_refused(data: bytes) -> None:
    with pytest.raises(RideError, match="no snapshot"):
        State.loads(data)

"""The dispatcher by example: offers, promises, drivers' reports, and what the desk can do."""

import msgspec
import numpy as np
import pytest

from hanmaru.ride.domain import UNREACHABLE, RideError, Travel
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.config import Config, Tariff
from hanmaru.ride.engine.desk import legal_breaks
from hanmaru.ride.engine.fares import fare
from tests.ride.line import CONFIG, T0, booked, kinds, line, named, offered, request


def test_offers_differ_in_what_matters_to_a_rider() -> None:
    dispatcher = line(0, 9)
    wanted = c.Request(
        id="a",
        origins=(c.Spot(1, 0), c.Spot(3, 240)),
        destinations=(c.Spot(7, 0), c.Spot(6, 300)),
    )
    offers = offered(dispatcher, wanted)
    by_kind = {offer.kind: offer for offer in offers}
    assert len(offers) == len(by_kind) >= 2
    soonest, cheapest = offers[0], by_kind[e.OfferKind.CHEAPEST]
    assert soonest.pickup_s == min(offer.pickup_s for offer in offers)
    assert cheapest.fare == min(offer.fare for offer in offers)
    assert soonest.promise.to_s - soonest.promise.from_s <= CONFIG.window_s
    assert cheapest.promise.to_s - cheapest.promise.from_s == CONFIG.max_wait_s
    assert all(offer.expires_s == T0 + CONFIG.offer_ttl_s for offer in offers)


def test_a_fare_is_base_and_distance_with_shares_for_companions_and_pooling() -> None:
    tariff = Tariff(base=1800, per_km=100, companion_percent=50, pooled_percent=20, step=100)
    assert fare(tariff, 3000, 1, pooled=False) == 2100
    assert fare(tariff, 3000, 3, pooled=False) == 4200
    assert fare(tariff, 3000, 1, pooled=True) == 1700


def test_arriving_by_a_time_leaves_the_walk_and_the_alighting() -> None:
    dispatcher = line(0)
    wanted = c.Request(id="a", origins=(c.Spot(2),), destinations=(c.Spot(8, 90),), arrive_by_s=T0 + 3600)
    offer = booked(dispatcher, wanted)
    assert offer.promise.by_s + CONFIG.alighting_s + 90 <= T0 + 3600
    assert offer.pickup_s > T0 + 1200, "no hour of waiting at the goal"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (request("a", 3, 3), e.Reason.SAME_STOP),
        (request("a", 3, 5, seats=9), e.Reason.TOO_LARGE),
        (request("a", 3, 5, wheelchairs=1), e.Reason.TOO_LARGE),
        (request("a", 3, 5, earliest_s=T0 + 30 * 86_400), e.Reason.TOO_FAR_AHEAD),
        (request("a", 3, 5, earliest_s=T0 + 9 * 3600), e.Reason.NO_VAN),
        (request("a", 3, 5, arrive_by_s=T0 + 60), e.Reason.TOO_LATE),
    ],
)
def test_what_cannot_be_served_is_rejected_with_its_reason(wanted: c.Request, reason: e.Reason) -> None:
    made = line(0).handle(wanted, T0)[-1]
    assert isinstance(made, e.Rejected)
    assert made.reason is reason


def test_accepting_twice_is_accepting_once() -> None:
    dispatcher = line(0)
    offer = booked(dispatcher, request("a", 2, 5))
    assert dispatcher.handle(c.Accept("a", offer.id), T0) == []
    with pytest.raises(RideError, match="no open offer"):
        dispatcher.handle(c.Accept("a", "another"), T0)
    assert named(dispatcher, 0) == ["+a", "-a"]


def test_the_first_offer_is_held_while_its_rider_thinks() -> None:
    tight = Config(margin_s=0, max_wait_s=300, detour_s=60, detour_factor=1.0)
    dispatcher = line(0, seats=1, config=tight)
    first = offered(dispatcher, request("a", 2, 8))[0]
    assert isinstance(dispatcher.handle(request("b", 2, 8), T0 + 1)[-1], e.Rejected), "there is one seat"
    assert named(dispatcher, 0) == [], "drivers see nothing of it"
    assert isinstance(dispatcher.handle(c.Accept("a", first.id), T0 + 20)[-1], e.Accepted)


def test_the_hold_ends_with_the_offer() -> None:
    tight = Config(margin_s=0, max_wait_s=300, detour_s=60, detour_factor=1.0)
    dispatcher = line(0, seats=1, config=tight)
    offered(dispatcher, request("a", 2, 8))
    assert kinds(dispatcher.handle(c.Tick(), T0 + 61)) == ["Expired"]
    assert offered(dispatcher, request("b", 2, 8), T0 + 62)


def test_an_accepted_offer_finds_another_van_if_its_own_is_taken() -> None:
    dispatcher = line(0, 1, seats=1)
    offer = offered(dispatcher, request("a", 2, 8))[0]
    dispatcher.handle(c.Breakdown(offer.van), T0 + 5)
    accepted = dispatcher.handle(c.Accept("a", offer.id), T0 + 6)[-1]
    assert isinstance(accepted, e.Accepted)
    assert accepted.van != offer.van
    assert accepted.offer.promise == offer.promise


def test_an_offer_that_no_van_can_keep_any_more_is_answered_with_new_ones() -> None:
    dispatcher = line(1, 9, seats=1)
    offer = offered(dispatcher, request("a", 2, 4))[0]
    assert offer.van == 0
    dispatcher.handle(c.Breakdown(0), T0 + 5)
    answer = dispatcher.handle(c.Accept("a", offer.id), T0 + 6)[-1]
    assert isinstance(answer, e.Offered)
    assert answer.instead is e.Reason.TAKEN
    assert all(new.van == 1 for new in answer.offers)


def test_a_rider_is_picked_up_and_brought_there() -> None:
    dispatcher = line(0)
    booked(dispatcher, request("a", 1, 3))
    dispatcher.handle(c.Moved((0,), (1,), (T0 + 60,)), T0)
    dispatcher.handle(c.Arrived(0, 1), T0 + 60)
    assert kinds(dispatcher.handle(c.Boarded(0, "a"), T0 + 80)) == ["PickedUp"]
    assert named(dispatcher, 0) == ["-a"]
    dispatcher.handle(c.Arrived(0, 3), T0 + 200)
    assert kinds(dispatcher.handle(c.Alighted(0, "a"), T0 + 210)) == ["DroppedOff"]
    with pytest.raises(RideError, match="not aboard"):
        dispatcher.handle(c.Alighted(0, "a"), T0 + 220)


def test_news_from_a_tunnel_counts_for_when_it_happened() -> None:
    dispatcher = line(0)
    booked(dispatcher, request("a", 1, 3))
    dispatcher.handle(c.Arrived(0, 1, at_s=T0 + 60), T0 + 2000)
    told = dispatcher.handle(c.Boarded(0, "a", at_s=T0 + 80), T0 + 2000)
    assert kinds(told) == ["PickedUp"], "the van was there in time"
    dispatcher.handle(c.Arrived(0, 3, at_s=T0 + 200), T0 + 2000)
    (dropped,) = dispatcher.handle(c.Alighted(0, "a", at_s=T0 + 210), T0 + 2000)
    assert isinstance(dropped, e.DroppedOff)
    assert (dropped.stop, dropped.begun_s, dropped.left_s) == (3, T0 + 200, T0 + 210)


def test_late_at_the_stop_is_said_even_if_nobody_saw_it_coming() -> None:
    dispatcher = line(0)
    offer = booked(dispatcher, request("a", 1, 3))
    late = offer.promise.to_s + 30
    dispatcher.handle(c.Arrived(0, 1), late)
    broken, picked = dispatcher.handle(c.Boarded(0, "a"), late + 20)
    assert isinstance(broken, e.PromiseBroken)
    assert broken.late_s == 30
    assert isinstance(picked, e.PickedUp)


def test_riders_of_a_late_van_go_with_another_that_keeps_the_promise() -> None:
    dispatcher = line(2, 9)
    offer = booked(dispatcher, request("a", 3, 6))
    assert named(dispatcher, 0) == ["+a", "-a"]
    dispatcher.handle(c.Moved((0,), (2,), (offer.promise.to_s + 100,)), T0 + 10)
    assert kinds(dispatcher.handle(c.Tick(), T0 + 11)) == ["PlansChanged"]
    assert named(dispatcher, 1) == ["+a", "-a"]


def test_a_promise_is_at_risk_before_it_is_broken_and_broken_with_a_new_one() -> None:
    dispatcher = line(2)
    offer = booked(dispatcher, request("a", 3, 6))

    def free_again(late_s: int, now_s: int) -> list[e.AnyEvent]:
        dispatcher.handle(c.Moved((0,), (2,), (offer.promise.to_s - 60 + late_s,)), now_s)
        return dispatcher.handle(c.Tick(), now_s)

    (risk,) = free_again(30, T0 + 10)
    assert isinstance(risk, e.AtRisk)
    assert risk.late_s == 30
    assert kinds(free_again(0, T0 + 20)) == ["Safe"]
    (broken,) = free_again(300, T0 + 30)
    assert isinstance(broken, e.PromiseBroken)
    assert broken.reason is e.Reason.LATE
    assert broken.offer is not None
    assert broken.offer.promise.to_s >= offer.promise.to_s + 300
    assert named(dispatcher, 0) == ["+a", "-a"], "still booked"
    assert kinds(dispatcher.handle(c.Decline("a"), T0 + 40)) == ["Declined"]
    assert named(dispatcher, 0) == []


def test_slower_roads_are_named_as_the_reason() -> None:
    dispatcher = line(0)
    booked(dispatcher, request("a", 5, 9))
    slow = dispatcher.travel
    dispatcher.travel = Travel((slow.time_s * 6).astype(np.int32), slow.length_m)
    told = dispatcher.handle(c.Retime("snow"), T0 + 1)
    broken = [event for event in told if isinstance(event, e.PromiseBroken)]
    assert [event.reason for event in broken] == [e.Reason.TRAVEL_TIMES]


def test_who_waits_where_no_road_leads_any_more_is_told_so() -> None:
    dispatcher = line(0)
    booked(dispatcher, request("a", 5, 9))
    booked(dispatcher, request("b", 2, 4))
    cut = dispatcher.travel.time_s.copy()
    cut[:5, 5:] = UNREACHABLE
    cut[10:, 5:] = UNREACHABLE
    dispatcher.travel = Travel(cut, dispatcher.travel.length_m)
    broken = [x for x in dispatcher.handle(c.Retime("flood"), T0 + 1) if isinstance(x, e.PromiseBroken)]
    assert [(x.id, x.offer, x.reason) for x in broken] == [("a", None, e.Reason.TRAVEL_TIMES)]
    assert named(dispatcher, 0) == ["+b", "-b"]
    assert dispatcher.state.vans.shift_to_s[0] == T0 + 8 * 3600


def test_when_a_van_breaks_down_its_riders_are_fetched_where_it_stands() -> None:
    dispatcher = line(0, 4)
    booked(dispatcher, request("a", 1, 9))
    dispatcher.handle(c.Arrived(0, 1), T0 + 60)
    dispatcher.handle(c.Boarded(0, "a"), T0 + 80)
    booked(dispatcher, request("b", 3, 9), T0 + 80)
    dispatcher.handle(c.Arrived(0, 2), T0 + 140)
    told = dispatcher.handle(c.Breakdown(0), T0 + 150)
    assert told[0] == e.BrokenDown(seq=told[0].seq, time_s=T0 + 150, van=0, stop=2)
    assert named(dispatcher, 0) == []
    assert {"+a", "-a", "+b", "-b"} == set(named(dispatcher, 1))
    state = dispatcher.state
    assert state.requests.origin[state.slot("a")] == 2
    assert kinds(dispatcher.handle(c.Back(0, 2), T0 + 4000)) == ["VanBack"]


def test_nobody_left_to_come_is_said_once_and_tried_again() -> None:
    dispatcher = line(0)
    booked(dispatcher, request("a", 1, 9))
    dispatcher.handle(c.Arrived(0, 1), T0 + 60)
    dispatcher.handle(c.Boarded(0, "a"), T0 + 80)
    told = dispatcher.handle(c.Breakdown(0), T0 + 90)
    assert kinds(told) == ["BrokenDown", "PromiseBroken"]
    assert dispatcher.handle(c.Tick(), T0 + 100) == []
    dispatcher.handle(c.Back(0, 1), T0 + 400)
    assert "PlansChanged" in kinds(dispatcher.handle(c.Tick(), T0 + 401))
    assert named(dispatcher, 0) == ["+a", "-a"]


def test_a_no_show_is_believed_only_after_waiting() -> None:
    dispatcher = line(1)
    booked(dispatcher, request("a", 2, 5))
    with pytest.raises(RideError, match="no van stands"):
        dispatcher.handle(c.NoShow("a"), T0 + 30)
    dispatcher.handle(c.Arrived(0, 2), T0 + 60)
    with pytest.raises(RideError, match="for 150 s more"):
        dispatcher.handle(c.NoShow("a"), T0 + 90)
    assert kinds(dispatcher.handle(c.NoShow("a"), T0 + 240)) == ["NoShow"]
    assert named(dispatcher, 0) == []


def test_who_cancels_aboard_gets_off_at_the_next_stop() -> None:
    dispatcher = line(0)
    booked(dispatcher, request("a", 1, 9))
    booked(dispatcher, request("b", 3, 5))
    dispatcher.handle(c.Boarded(0, "a"), T0 + 80)
    dispatcher.handle(c.Moved((0,), (2,), (T0 + 140,)), T0 + 80)
    (cancelled,) = dispatcher.handle(c.Cancel("a"), T0 + 100)
    assert isinstance(cancelled, e.Cancelled)
    assert cancelled.stop == 3
    assert named(dispatcher, 0) == ["-a", "+b", "-b"]


def test_a_break_needs_an_empty_van_and_its_time() -> None:
    dispatcher = line(0)
    dispatcher.handle(c.Shift(0, T0, T0 + 8 * 3600, (c.Break(T0 + 600, T0 + 1500, 1800),)), T0)
    booked(dispatcher, request("a", 1, 4, earliest_s=T0 + 60))
    booked(dispatcher, request("b", 5, 8, earliest_s=T0 + 3000))
    assert [name[:3] for name in named(dispatcher, 0)] == ["+a", "-a", "+br", "-br", "+b", "-b"]
    with pytest.raises(RideError, match="would be late"):
        dispatcher.handle(c.BreakStart(0), T0 + 900)
    dispatcher.handle(c.Boarded(0, "a"), T0 + 120)
    with pytest.raises(RideError, match="empty"):
        dispatcher.handle(c.BreakStart(0), T0 + 130)
    dispatcher.handle(c.Alighted(0, "a"), T0 + 300)
    assert kinds(dispatcher.handle(c.BreakStart(0), T0 + 900)) == ["BreakStarted"]
    assert kinds(dispatcher.handle(c.BreakEnd(0), T0 + 2700)) == ["BreakEnded"]


def test_legal_rest_is_half_an_hour_in_four() -> None:
    assert legal_breaks(T0, T0 + 3 * 3600) == ()
    assert [rest.duration_s for rest in legal_breaks(T0, T0 + 8 * 3600)] == [1800, 1800]


def test_the_desk_gives_a_rider_to_a_van_even_if_the_promise_must_change() -> None:
    dispatcher = line(2, 9, config=Config(margin_s=0, max_wait_s=240))
    booked(dispatcher, request("a", 3, 6))
    told = dispatcher.handle(c.Override(kind=c.Kind.ASSIGN, van=1, id="a", reason="the driver knows her"), T0 + 1)
    assert kinds(told) == ["Overridden", "PromiseBroken", "PlansChanged"]
    assert told[1].reason is e.Reason.OVERRIDE
    assert named(dispatcher, 1) == ["+a", "-a"]
    dispatcher.handle(c.Override(kind=c.Kind.UNASSIGN, id="a"), T0 + 2)
    assert named(dispatcher, 0) == ["+a", "-a"]


def test_a_held_van_keeps_its_riders_and_gets_no_more() -> None:
    dispatcher = line(2)
    booked(dispatcher, request("a", 3, 6))
    dispatcher.handle(c.Override(kind=c.Kind.HOLD, van=0), T0)
    assert isinstance(dispatcher.handle(request("b", 3, 6), T0)[-1], e.Rejected)
    dispatcher.handle(c.Override(kind=c.Kind.RELEASE, van=0), T0)
    assert offered(dispatcher, request("c", 3, 6))


def test_a_van_out_of_service_brings_home_who_is_aboard() -> None:
    dispatcher = line(1, 5)
    booked(dispatcher, request("a", 1, 9))
    dispatcher.handle(c.Boarded(0, "a"), T0 + 20)
    booked(dispatcher, request("b", 2, 4), T0 + 20)
    assert named(dispatcher, 0) == ["+b", "-b", "-a"]
    dispatcher.handle(c.Override(kind=c.Kind.OUT_OF_SERVICE, van=0), T0 + 30)
    assert named(dispatcher, 0) == ["-a"]
    assert named(dispatcher, 1) == ["+b", "-b"]


def test_idle_vans_are_sent_where_riders_are_expected_and_home_at_the_end() -> None:
    dispatcher = line(0, 5)
    booked(dispatcher, request("a", 0, 3))
    told = dispatcher.handle(c.Reposition((0, 1), (4, 7)), T0)
    assert [(event.vans, event.stops) for event in told if isinstance(event, e.Repositioned)] == [((1,), (7,))]
    end = T0 + 8 * 3600
    home = dispatcher.handle(c.Tick(), end - 300)
    assert (1,) in [event.vans for event in home if isinstance(event, e.Repositioned)]


class TestProposals:
    """Two riders from one place to another in two vans; a layer finds that one van will do."""

    def apart(self) -> tuple:
        dispatcher = line(2, 3, config=Config(margin_s=0))
        booked(dispatcher, request("a", 4, 8))
        booked(dispatcher, request("b", 4, 8))
        dispatcher.handle(c.Override(kind=c.Kind.UNASSIGN, id="b"), T0)
        vans = [van for van in (0, 1) if named(dispatcher, van)]
        assert vans == [0, 1]
        plans = [dispatcher.state.vans.actions(van) for van in (0, 1)]
        keeps = 1
        a, b = plans[1 - keeps][0], plans[keeps][0]
        return dispatcher, {1 - keeps: (), keeps: (b, a, -b, -a)}

    def test_better_plans_are_taken(self) -> None:
        dispatcher, plans = self.apart()
        (changed,) = dispatcher.handle(c.Propose(dispatcher.state.seq, plans, "test"), T0)
        assert changed.layer == "test"
        assert dispatcher.state.vans.actions(0) == []

    def test_what_was_picked_up_meanwhile_is_taken_out(self) -> None:
        dispatcher, plans = self.apart()
        rider = named(dispatcher, 1)[0][1:]
        dispatcher.handle(c.Arrived(1, 4), T0 + 60)
        dispatcher.handle(c.Boarded(1, rider), T0 + 80)
        (changed,) = dispatcher.handle(c.Propose(0, plans, "test"), T0 + 80)
        assert len(changed.plans[1]) == 3

    def test_a_van_with_a_new_rider_is_left_alone(self) -> None:
        dispatcher, plans = self.apart()
        booked(dispatcher, request("c", 1, 2))
        dispatcher.handle(c.Override(kind=c.Kind.ASSIGN, van=0, id="c"), T0)
        assert dispatcher.handle(c.Propose(0, plans, "test"), T0) == []

    @pytest.mark.parametrize("kind", ["lost", "twice", "disordered", "unknown", "no van"])
    def test_nonsense_changes_nothing(self, kind: str) -> None:
        dispatcher, plans = self.apart()
        b, a = plans[1][:2]
        nonsense = {
            "lost": {0: (), 1: (b, -b)},
            "twice": {0: (a, -a), 1: plans[1]},
            "disordered": {0: (), 1: (-b, b, a, -a)},
            "unknown": {0: (77, -77), 1: plans[1]},
            "no van": {9: plans[1], 0: (), 1: ()},
        }[kind]
        assert dispatcher.handle(c.Propose(0, nonsense, "test"), T0) == []


def test_a_command_that_makes_no_sense_changes_nothing() -> None:
    dispatcher = line(0)
    booked(dispatcher, request("a", 1, 3))
    digest = dispatcher.digest()
    for wrong in (
        request("a", 1, 3),
        request("b", 1, 99),
        c.Cancel("nobody"),
        c.Boarded(7, "a"),
        c.Arrived(0, 99),
        c.Moved((0,), (1,), ()),
        c.BreakStart(0),
        c.BreakEnd(0),
        c.Back(0, 1),
        c.Shift(0, T0, T0 - 1),
        c.Override(kind=c.Kind.ASSIGN, van=0),
        c.Override(kind=c.Kind.STOP_AT, van=0, stop=3),
    ):
        with pytest.raises(RideError):
            dispatcher.handle(wrong, T0)
        assert dispatcher.digest() == digest


def test_commands_and_events_travel_as_bytes() -> None:
    dispatcher = line(0)
    wanted = msgspec.msgpack.decode(msgspec.msgpack.encode(request("a", 1, 3)), type=c.AnyCommand)
    batch = dispatcher.handle(wanted, T0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=list[e.AnyEvent]) == batch

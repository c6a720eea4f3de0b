"""What riders and drivers are told, in the city's languages."""

from collections.abc import Mapping

from hanmaru.ride.engine.events import Reason

Text = Mapping[str, str]

REASONS: Mapping[str, Text] = {
    Reason.NO_VAN: {
        "en": "No van can come in time. Try a later time, fewer seats, or allow a longer walk.",
        "ko": "제시간에 갈 수 있는 차량이 없습니다. 시간을 늦추거나 인원을 줄이거나 더 걸어 보세요.",
    },
    Reason.TOO_LARGE: {
        "en": "No van has so many places. Book two rides.",
        "ko": "그만큼 태울 수 있는 차량이 없습니다. 두 번에 나누어 호출하세요.",
    },
    Reason.TOO_FAR_AHEAD: {
        "en": "Rides cannot be booked so far ahead yet. Try again nearer the day.",
        "ko": "아직 예약할 수 없는 날짜입니다. 가까운 날에 다시 시도하세요.",
    },
    Reason.TOO_LATE: {
        "en": "That time cannot be reached any more. Choose a later one.",
        "ko": "그 시각까지 갈 수 없습니다. 더 늦은 시각을 고르세요.",
    },
    Reason.UNREACHABLE: {
        "en": "No road leads there from here. Choose another place.",
        "ko": "도로로 갈 수 없는 곳입니다. 다른 장소를 고르세요.",
    },
    Reason.SAME_STOP: {
        "en": "Both places are at the same stop: it is quicker to walk.",
        "ko": "출발지와 도착지의 정류장이 같습니다. 걸어가는 편이 빠릅니다.",
    },
    Reason.TAKEN: {
        "en": "That offer is gone. Here are new ones.",
        "ko": "그 제안은 마감되었습니다. 새 제안을 보세요.",
    },
    Reason.LATE: {
        "en": "Your van is running late.",
        "ko": "차량이 늦어지고 있습니다.",
    },
    Reason.BREAKDOWN: {
        "en": "Your van has broken down.",
        "ko": "차량이 고장났습니다.",
    },
    Reason.TRAVEL_TIMES: {
        "en": "Traffic is heavier than expected.",
        "ko": "예상보다 길이 막힙니다.",
    },
    Reason.OVERRIDE: {
        "en": "The dispatcher had to change your ride.",
        "ko": "배차 담당자가 운행을 변경했습니다.",
    },
    "no-origin-stop": {
        "en": "No stop is within your walk of where you are. Move the start, or allow a longer walk.",
        "ko": "출발지 가까이에 정류장이 없습니다. 출발지를 옮기거나 더 걸어 보세요.",
    },
    "no-destination-stop": {
        "en": "No stop is within your walk of where you are going. Move the destination, or allow a longer walk.",
        "ko": "도착지 가까이에 정류장이 없습니다. 도착지를 옮기거나 더 걸어 보세요.",
    },
    "closed": {
        "en": "There is no service at that time.",
        "ko": "운행 시간이 아닙니다.",
    },
}
_TRY: Mapping[str, Text] = {
    "later": {"en": "Choose a later time", "ko": "더 늦은 시각 선택"},
    "earlier": {"en": "Choose an earlier time", "ko": "더 이른 시각 선택"},
    "fewer-seats": {"en": "Book fewer seats", "ko": "인원 줄이기"},
    "walk-more": {"en": "Allow a longer walk", "ko": "더 걷기"},
    "other-place": {"en": "Choose another place", "ko": "다른 장소 선택"},
}
TRY: Mapping[str, tuple[str, ...]] = {
    Reason.NO_VAN: ("later", "walk-more", "fewer-seats"),
    Reason.TOO_LARGE: ("fewer-seats",),
    Reason.TOO_FAR_AHEAD: ("earlier",),
    Reason.TOO_LATE: ("later",),
    Reason.UNREACHABLE: ("other-place",),
    Reason.SAME_STOP: ("other-place",),
    "no-origin-stop": ("other-place", "walk-more"),
    "no-destination-stop": ("other-place", "walk-more"),
    "closed": ("later",),
}


def reason(code: str) -> dict[str, object]:
    """Return a reason as it is told: its code, a text in each language, and what may help."""
    helps = [{"code": one, "text": _TRY[one]} for one in TRY.get(code, ())]
    return {"code": code, "text": REASONS.get(code, REASONS[Reason.OVERRIDE]), "try": helps}

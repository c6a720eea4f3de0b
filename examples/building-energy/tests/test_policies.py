"""Who may say when a measure was taken."""

from hanmaru_building_energy.service import service

from hanmaru.platform.policy import cases


def test_the_policies_say_what_their_cases_say() -> None:
    assert service.policies
    outcome = cases.run([service.policies], actions=list(service.permissions))
    assert outcome.wrong == []

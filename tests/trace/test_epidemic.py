"""An epidemic on the city's encounters: exact chains, a few who infect many."""

from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pytest

from hanmaru.city import days, encounters, profile
from hanmaru.city.build import City, build
from hanmaru.trace.domain import TraceError
from hanmaru.trace.synth import epidemic
from hanmaru.trace.synth.epidemic import COVID_19, Infections

FIRST, DAYS = date(2026, 3, 2), 12
MIDNIGHT = 1_772_377_200  # of the first day in Korea
UNREPORTED = replace(COVID_19, reported=0.0)


@lru_cache(maxsize=1)
def town() -> City:
    return build(profile.load("hanbit"))


@lru_cache(maxsize=1)
def outbreak() -> Infections:
    return epidemic.make(town(), FIRST, DAYS, imported=30, seed=1)


def test_chains_are_chains() -> None:
    found = outbreak()
    assert len(np.unique(found.infectee)) == len(found) > 60
    assert (np.diff(found.time_s) >= 0).all()
    when = np.full(len(town().population), np.iinfo(np.int64).max)
    when[found.infectee] = found.time_s
    reported = np.full(len(when), -1)
    reported[found.infectee] = found.reported_s
    inside = found.infector >= 0
    assert (~inside).sum() == 30
    assert ((found.place >= 0) == inside).all()
    assert (found.time_s[~inside] < MIDNIGHT).all()
    assert ((found.time_s >= MIDNIGHT) & (found.time_s < MIDNIGHT + DAYS * 86400))[inside].all()
    assert (when[found.infector[inside]] < found.time_s[inside]).all()
    until = reported[found.infector[inside]]
    assert ((until < 0) | (found.time_s[inside] < until + 86400)).all(), "who is reported isolates"
    assert (found.onset_s > found.time_s).all()
    known = found.reported_s >= 0
    assert (found.reported_s[known] >= found.onset_s[known]).all()
    assert known.mean() == pytest.approx(COVID_19.reported, abs=0.12)


def test_each_infection_happens_in_an_encounter() -> None:
    found = outbreak()
    last = FIRST + timedelta(DAYS - 1)
    low = MIDNIGHT + (DAYS - 1) * 86400
    latest = np.flatnonzero((found.infector >= 0) & (found.time_s >= low))
    assert len(latest) > 3
    met = encounters.make(town(), days.make(town(), last, 1), np.unique(found.infector[latest]))
    for k in latest.tolist():
        pair = sorted((int(found.infector[k]), int(found.infectee[k])))
        at = (met.a == pair[0]) & (met.b == pair[1]) & (met.place == found.place[k])
        assert (at & (met.start_s <= found.time_s[k]) & (met.end_s >= found.time_s[k])).any()


def test_a_seed_is_an_epidemic() -> None:
    shorter = epidemic.make(town(), FIRST, DAYS - 6, imported=30, seed=1)
    assert len(shorter) > 30
    for name in Infections.__dataclass_fields__:
        assert (getattr(shorter, name) == getattr(outbreak(), name)[: len(shorter)]).all()
    other = epidemic.make(town(), FIRST, 1, imported=30, seed=2)
    assert not set(other.infectee.tolist()) & set(outbreak().infectee[:30].tolist())


def test_only_the_people_asked_for_are_infected() -> None:
    some = np.arange(0, len(town().population) // 3)
    found = epidemic.make(town(), FIRST, 6, some, imported=40, seed=4)
    assert len(found) > 40
    assert np.isin(found.infectee, some).all()


def test_a_few_infect_many_and_the_mean_is_the_reproduction_number() -> None:
    """Lloyd-Smith et al. 2005: with dispersion below one, a fifth of the cases causes most infections."""
    found = epidemic.make(town(), FIRST, 16, imported=150, seed=3, disease=UNREPORTED)
    first = found.infectee[found.infector < 0]
    offspring = np.bincount(found.infector[found.infector >= 0], minlength=len(town().population))[first]
    top = np.sort(offspring)[::-1][: len(first) // 5].sum() / offspring.sum()
    mean, variance = offspring.mean(), offspring.var()
    dispersion = mean**2 / (variance - mean)
    print(f"{mean:.2f} infected each, dispersion {dispersion:.2f}, at most {offspring.max()}; by a fifth {top:.0%}")
    # Somewhat below 2.5: contacts are shared with other cases, and the days end before some are no longer infectious.
    assert 1.5 < mean < 1.2 * COVID_19.reproduction
    assert 0.2 < dispersion < 0.9
    assert top > 0.6


def test_infectiousness_begins_before_onset() -> None:
    """He et al. 2020: 44 % of the transmission of pairs is before onset, by the density's own mass."""
    days_from_onset = np.arange(-12, 20, 0.01)
    mass = epidemic.density(COVID_19, days_from_onset) * 0.01
    assert mass.sum() == pytest.approx(1, abs=0.001)
    assert mass[days_from_onset < 0].sum() == pytest.approx(0.44, abs=0.02)


@pytest.mark.parametrize(("n_days", "imported"), [(0, 5), (3, 0), (3, 10**7)])
def test_no_epidemic_without_days_or_people(n_days: int, imported: int) -> None:
    with pytest.raises(TraceError, match="ask for at least one"):
        epidemic.make(town(), FIRST, n_days, imported=imported)

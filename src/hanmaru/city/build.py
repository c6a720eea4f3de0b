"""Making a city from a profile: everything lazily, once in a process."""

from dataclasses import dataclass
from functools import cached_property

import msgspec

from hanmaru.city import land, places, population, roads, sensors, weather
from hanmaru.city.land import Land
from hanmaru.city.places import Places
from hanmaru.city.population import Population
from hanmaru.city.profile import Profile
from hanmaru.city.roads import Roads
from hanmaru.city.sensors import Sensors
from hanmaru.city.traffic import Traffic
from hanmaru.city.weather import Weather


@dataclass(frozen=True, eq=False)
class City:
    """The one simulated city. Parts are made when first asked for and depend on the profile alone."""

    profile: Profile

    @cached_property
    def land(self) -> Land:
        """Limits, districts, water and green."""
        return land.make(self.profile)

    @cached_property
    def roads(self) -> Roads:
        """The road network."""
        return roads.make(self.profile, self.land)

    @cached_property
    def places(self) -> Places:
        """Homes, workplaces, schools, shops, hospitals, parks."""
        return places.make(self.profile, self.land, self.roads)

    @cached_property
    def population(self) -> Population:
        """Every person."""
        return population.make(self.profile, self.places)

    @cached_property
    def weather(self) -> Weather:
        """The weather at any instant."""
        return weather.of(self.profile)

    @cached_property
    def traffic(self) -> Traffic:
        """Traffic on any edge at any instant."""
        return Traffic(self.roads, self.profile.seed)

    @cached_property
    def sensors(self) -> dict[str, Sensors]:
        """The sensors by entity type."""
        return sensors.make(self.profile, self.land, self.roads, self.places)


_built: dict[bytes, City] = {}


def build(profile: Profile) -> City:
    """Return the city of a profile, the same object each time in a process."""
    key = msgspec.json.encode(profile)
    if key not in _built:
        _built[key] = City(profile)
    return _built[key]

"""The road network of the simulated city."""

import numpy as np

from hanmaru.city.build import City
from hanmaru.city.roads import Roads
from hanmaru.city.streets import PRIMARY, RESIDENTIAL, SECONDARY, TERTIARY, TRUNK
from hanmaru.ride.domain import Bools, Floats
from hanmaru.ride.roads.graph import (
    ACCESSIBLE,
    BUS_STOP,
    CLASSES,
    CROSSING,
    INACCESSIBLE,
    NO_STOPPING,
    RoadGraph,
    footpaths,
)
from hanmaru.ride.roads.turns import connected

_CLASS = {
    RESIDENTIAL: "residential",
    TERTIARY: "tertiary",
    SECONDARY: "secondary",
    PRIMARY: "primary",
    TRUNK: "trunk",
}


def from_city(city: City) -> RoadGraph:
    """Return the city's roads; ``way`` holds each edge's number in the city.

    The generated city says nothing of kerbs, crossings and signs, so rules stand in: dongs have pavements with lowered
    kerbs, eups along their tertiary roads and myeons along their secondary roads and up; country lanes have none; where
    three main roads meet are crossings; nobody stops on a trunk road or walks along it. Elsewhere streets are walks.
    """
    roads = city.roads
    kind = np.array([CLASSES.index(_CLASS[k]) for k in range(len(_CLASS))], np.uint8)[roads.road_class]
    m = len(kind)
    kinds = np.array([d.kind for d in city.profile.districts])[roads.district[roads.source]]
    pavement = (kinds == "dong") | (roads.road_class >= np.where(kinds == "eup", TERTIARY, SECONDARY))
    lane = (kinds == "myeon") & (roads.road_class == RESIDENTIAL)
    flags = np.where(pavement, ACCESSIBLE, 0) | np.where(lane, INACCESSIBLE, 0)
    flags |= np.where(roads.road_class == TRUNK, NO_STOPPING, 0)
    busy = np.bincount(roads.target, roads.road_class >= TERTIARY, len(roads.lonlat)) >= 3
    stops = city.sensors["PublicTransportStop"].lonlat if "PublicTransportStop" in city.sensors else np.empty((0, 2))
    crossings = roads.lonlat[busy]
    streets = np.flatnonzero((roads.road_class < TRUNK) & ((roads.source < roads.target) | ~_two_way(roads)))
    ends = np.stack((roads.source[streets], roads.target[streets]), axis=1).astype(np.int32)
    walk = footpaths(roads.lonlat, ends, list(roads.lonlat[ends]), np.zeros(len(ends), bool))
    graph = RoadGraph(
        name=city.profile.id,
        lonlat=roads.lonlat,
        source=roads.source.astype(np.int32),
        target=roads.target.astype(np.int32),
        length_m=roads.length_m,
        limit_kmh=roads.speed_mps * 3.6,
        road_class=kind,
        flags=flags.astype(np.uint8),
        way=np.arange(m),
        street=np.zeros(m, np.int32),
        streets=np.array([""]),
        shape_first=np.zeros(m + 1, np.int64),
        shape=np.empty((0, 2)),
        banned_first=np.zeros(1, np.int64),
        banned=np.empty(0, np.int32),
        obstacles=np.concatenate((crossings, stops)),
        obstacle_kind=np.repeat(np.array([CROSSING, BUS_STOP], np.uint8), (len(crossings), len(stops))),
        walk_lonlat=walk[0],
        walks=walk[1],
        walk_m=walk[2],
        walk_steps=walk[3],
    )
    return graph.keep(connected(graph))


def _two_way(roads: Roads) -> Bools:
    """Return which edges (m,) have one the other way."""
    n = len(roads.lonlat)
    return np.isin(roads.source * n + roads.target, roads.target * n + roads.source)


def speeds(city: City, graph: RoadGraph, t: float) -> Floats:
    """Return the traffic's speed (m,), km/h, on every edge at an instant (Unix seconds), live sensors aside."""
    when = np.full(len(graph.way), float(t))
    return city.traffic.at(graph.way, when, city.weather.at(when)).speed_kmh

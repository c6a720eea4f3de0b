"""Demand-responsive transit: roads, dispatch, the riders' and drivers' journey, simulation."""

"""Hanmaru: an open smart-city data hub and the city services that live on it."""

"""Throughput and latency of the hub beside the box's raw ceiling."""

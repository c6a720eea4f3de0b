"""The service as other people's journey planners read it: GTFS-Flex and GTFS-Realtime."""

"""Roads and travel: road graphs, turn restrictions, speeds by hour, travel times, virtual stops."""

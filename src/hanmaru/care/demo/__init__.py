"""The demo city's citizens at the measuring places."""

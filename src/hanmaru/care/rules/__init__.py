"""The rules: what measurements mean, by which source, and what they cannot tell. Pure."""

"""Signing in at an OpenID Connect provider: what we know of it, and the two steps of a log-in there."""

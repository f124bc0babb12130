"""Talking to a running endpoint: what to say to it, and its answer as it streams."""

"""Fetching: the checkpoint from a Hub and the image from its registry, resumable and verified."""

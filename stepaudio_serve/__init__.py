"""stepaudio-serve: from a model name to an endpoint that has proved it can hear."""

__version__ = "0.1.0"

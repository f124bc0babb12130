"""Start-up: from a started engine to one that has proved it can hear."""

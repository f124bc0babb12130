"""The life of a deployment: up, status, wait, restart, down."""

"""Runtimes carry a plan out: start, find, stop and read the logs of a deployment."""

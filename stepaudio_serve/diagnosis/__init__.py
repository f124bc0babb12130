"""Explains failures: the catalogue of known ones, and what in a log or a message gives them away."""

from .match import Diagnosis, Evidence, diagnose, fatal_in
from .plain import plain, split_level
from .redact import redact

__all__ = ["Diagnosis", "Evidence", "diagnose", "fatal_in", "plain", "redact", "split_level"]

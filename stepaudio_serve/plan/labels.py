"""The labels by which a deployment is found; what carries none of them is not ours."""

from __future__ import annotations

LABEL_PREFIX = "io.stepaudio-serve."

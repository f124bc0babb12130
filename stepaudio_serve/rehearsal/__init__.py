"""The rehearsal engine: vLLM's command line, log, routes and ways to fail, without a model.

For writing clients, for CI, and for trying the launcher on a machine without a GPU. It decodes the audio
that it is sent and answers with what it measured; it never pretends to be more than a rehearsal.
"""

from __future__ import annotations

NOTICE = "no model listened"
"""What the header `x-stepaudio-rehearsal` of every answer says."""

OWNER = "stepaudio-rehearsal"
"""`owned_by` in `/v1/models`."""

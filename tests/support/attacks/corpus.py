"""Every attack, by name."""

from __future__ import annotations

from .request_fields import FIELDS
from .sounds_sent import SOUNDS
from .texts import TEXTS
from .wire import WIRE

GROUPS = {"sound": SOUNDS, "text": TEXTS, "field": FIELDS, "wire": WIRE}
ATTACKS = {attack.name: attack for group in GROUPS.values() for attack in group}
assert len(ATTACKS) == sum(map(len, GROUPS.values())), "two attacks share a name"

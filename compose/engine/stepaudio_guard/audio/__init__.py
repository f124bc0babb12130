"""Sound in any form, to what the engine can hear without harm: 16 kHz mono pieces of at most 25 seconds.

All but `media` also runs inside the engine's own server process, beside the guard: the standard library, numpy,
soundfile and relative imports, nothing else.
"""

"""The one form in which sound travels here: float32, mono, 16 kHz, full scale at +-1."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16000
"""Hz; what the model's audio encoder hears."""

PIECE_SECONDS = 25
"""The longest piece sent to the engine. Its encoder dies above 29.98 s (479680 samples); the authors cut at 25 s."""

SHORTEST_SECONDS = 0.1
"""The shortest piece sent to the engine. Its encoder dies on a clip that makes no frame; two audio tokens are safe."""

Samples: TypeAlias = NDArray[np.float32]
"""Mono samples at SAMPLE_RATE, one dimension."""

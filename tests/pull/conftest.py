from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.checkpoints import fabricate
from support.hub import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.hub import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A Hub with a whole checkpoint of some 1.7 MB in five files that count, and two that nobody needs."""
    folder = fabricate(tmp_path / "published", "tiny", shards=3)
    (folder / "README.md").write_text("# A model\n")
    (folder / "original").mkdir()
    (folder / "original" / "consolidated.safetensors").write_bytes(b"the same once more")
    with serving(folder) as running:
        yield running

"""`stepaudio-rehearsal serve MODEL [flags of vllm serve]`, also `python -m stepaudio_serve.rehearsal`."""

from __future__ import annotations

import os
import sys

from ..errors import SettingsError
from .options import parse
from .settings import RehearsalSettings


def main() -> None:
    """Serve until told to stop; exits as vLLM does (0 stopped, 1 failed, 2 usage)."""
    options = parse(sys.argv[1:], os.environ)
    try:
        settings = RehearsalSettings.from_environment(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"stepaudio-rehearsal: error: {error.what}\n{error.fix}\n")
        raise SystemExit(2) from None

    from .server import serve

    raise SystemExit(serve(options, settings))


if __name__ == "__main__":
    main()

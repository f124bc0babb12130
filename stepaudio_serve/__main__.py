"""`python -m stepaudio_serve`, and the `stepaudio-serve` script."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line. Even an interruption while modules are still being imported ends quietly."""
    try:
        from .cli.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = 130
    gc.freeze()  # what is left needs no collecting: that would take longer than the whole of some commands
    sys.exit(code)


if __name__ == "__main__":
    main()

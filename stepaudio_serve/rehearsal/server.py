"""From start to end of the process: bind, play the start-up, serve, drain."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import traceback
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import NOTICE, log
from .startup_log import EngineExit, play

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import uvicorn

    from ..plan.chat_template import ChatTemplate
    from .options import EngineOptions
    from .settings import RehearsalSettings

VERSION = f"{installed_version('stepaudio-serve')}+rehearsal"
TERMINATED_WHILE_LOADING = 1


def serve(options: EngineOptions, settings: RehearsalSettings) -> int:
    """Serve until told to stop, and return the exit code."""
    try:
        listening = _bind(options)
    except OSError as error:
        log.say_plain(f"OSError: [Errno {error.errno}] {error.strerror}", "APIServer")
        return 1
    with contextlib.closing(listening):
        return asyncio.run(_Life(options, settings, listening).run())


class _Life:
    """One run of the process; `_code` is what it will exit with."""

    def __init__(self, options: EngineOptions, settings: RehearsalSettings, listening: socket.socket) -> None:
        self._options = options
        self._settings = settings
        self._listening = listening
        self._code = 0
        self._server: uvicorn.Server | None = None

    async def run(self) -> int:
        """Load, serve, drain."""
        loading = asyncio.ensure_future(self._load())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, loading)
        try:
            template = await loading
        except asyncio.CancelledError:
            return TERMINATED_WHILE_LOADING
        except EngineExit as end:
            return end.code
        return await self._serve(template)

    async def _load(self) -> ChatTemplate:
        from ..errors import SettingsError

        imports = asyncio.create_task(asyncio.to_thread(_import_what_serving_needs))
        try:
            from .conversation import template_for

            template = template_for(self._options.chat_template)
        except SettingsError as error:
            log.say_plain(f"ValueError: {error.what}: {error.why}", "APIServer")
            raise EngineExit(1) from None
        await play(self._options, self._settings, VERSION)
        await imports
        self._warming = asyncio.create_task(asyncio.to_thread(_import_what_audio_needs))
        return template

    async def _serve(self, template: ChatTemplate) -> int:

        from .app import Api, build
        from .engine import Engine
        from .metrics import Metrics

        metrics = Metrics(self._options.served_model_names[0])
        engine = Engine(self._options, self._settings, metrics, self._end)
        api = Api(self._options, self._settings, template, engine, metrics, VERSION)
        try:
            app = build(api, self._options)
        except Exception:  # noqa: BLE001 - whatever a foreign middleware raises ends the start, as in vLLM
            log.say_plain(traceback.format_exc(), "APIServer")
            return 1
        for route in api.routes():
            methods = ", ".join(sorted(route.methods or ()))
            log.say("APIServer", "INFO", "launcher.py:37", f"Route: {route.path}, Methods: {methods}")
        server = _server_class()(_configured(app, self._options), engine.fail_later)
        self._server = server
        await server.serve(sockets=[self._listening])
        return self._code

    def _stop(self, loading: asyncio.Future[ChatTemplate]) -> None:
        """Drain at the first signal, leave at the second."""
        if self._server is None:
            loading.cancel()
        else:
            self._server.force_exit = self._server.should_exit
            self._server.should_exit = True

    def _end(self, code: int) -> None:
        self._code = code
        if self._server is not None:
            self._server.force_exit = True
            self._server.should_exit = True


def _bind(options: EngineOptions) -> socket.socket:
    """Take the address before loading, as vLLM does; connections are refused until it listens."""
    if options.uds:
        Path(options.uds).unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(options.uds)
        return listening
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # asyncio sends without delay only on sockets that say they are TCP's
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((options.host, options.port))
    except OSError:
        listening.close()
        raise
    return listening


def _configured(app: Any, options: EngineOptions) -> uvicorn.Config:
    import uvicorn

    return uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        root_path=options.root_path,
        log_level=options.uvicorn_log_level,
        access_log=options.access_log,
        timeout_graceful_shutdown=options.shutdown_timeout,
        server_header=False,
        headers=[("server", "stepaudio-rehearsal"), ("x-stepaudio-rehearsal", NOTICE)],
    )


def _server_class() -> type[Any]:
    import uvicorn

    class Server(uvicorn.Server):
        """Leaves signals to us, and begins `afterwards` once it listens."""

        def __init__(self, config: uvicorn.Config, afterwards: Callable[[], Awaitable[None]]) -> None:
            super().__init__(config)
            self._afterwards = afterwards

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def main_loop(self) -> None:
            background = asyncio.ensure_future(self._afterwards())
            await super().main_loop()
            background.cancel()

    return Server


def _import_what_serving_needs() -> None:
    """Import while the start-up plays."""
    import uvicorn  # noqa: F401

    from . import app  # noqa: F401


def _import_what_audio_needs() -> None:
    """Import while the server already listens, so that the first clip need not wait."""
    import numpy  # noqa: ICN001, F401
    import soundfile  # noqa: F401

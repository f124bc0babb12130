"""`open`: the page's address, checked before anything is opened."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.cli.open import no_browser, tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient
    from support.cli import Cli

ENVIRONMENT = {"DOCKER_HOST": "unix:///nonexistent", "STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0.2"}
NO_BROWSER = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": "", "SSH_CONNECTION": ""}
OVER_SSH = {**NO_BROWSER, "SSH_CONNECTION": "10.0.0.7 51000 10.0.0.3 22"}


@contextmanager
def serving(pages: dict[str, tuple[int, str]]) -> Iterator[str]:
    """An endpoint with these pages: status and media type by path."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind = pages.get(self.path, (404, "application/json"))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


PAGE = {"/health": (200, "text/plain"), "/": (200, "text/html; charset=utf-8")}


# ---- the address


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
def test_the_page_stands_beside_the_api(ending: str, run_cli: Cli) -> None:
    with serving(PAGE) as endpoint:
        done = run_cli("open", "--endpoint", endpoint + ending, "--json", env={"STEPAUDIO_API_KEY": "sk-secret"})
    assert (done.code, done.json) == (0, {"url": f"{endpoint}/"})


def test_a_password_in_the_address_is_not_told(run_cli: Cli) -> None:
    with serving(PAGE) as endpoint:
        known = endpoint.replace("//", "//joe:s3cret@")
        assert run_cli("open", "--endpoint", known, "--json").json == {"url": f"{endpoint}/"}
    gone = run_cli("open", "--endpoint", known, "--print")
    assert gone.code == 7
    assert "s3cret" not in gone.stdout + gone.stderr


def test_printing_opens_nothing(run_cli: Cli, tmp_path: Path) -> None:
    with serving(PAGE) as endpoint:
        done = run_cli("open", "--endpoint", endpoint, "--print", env={**NO_BROWSER, **browser(tmp_path)})
    assert (done.stdout, done.stderr) == (f"{endpoint}/\n", "")
    assert not (tmp_path / "opened").exists()


# ---- the browser


def browser(folder: Path) -> dict[str, str]:
    """An environment with a display, and a browser that writes down what it opens."""
    programs = folder / "programs"
    programs.mkdir()
    opener = programs / "xdg-open"
    opener.write_text(f'#!/bin/sh\necho "$1" > {folder}/new && mv {folder}/new {folder}/opened\n')
    opener.chmod(0o755)
    return {"DISPLAY": ":0", "PATH": f"{programs}:/usr/bin:/bin"}


def test_the_page_is_opened_without_a_key_in_its_address(run_cli: Cli, tmp_path: Path) -> None:
    keyed = {**NO_BROWSER, **browser(tmp_path), "STEPAUDIO_API_KEY": "sk-secret"}
    with serving(PAGE) as endpoint:
        done = run_cli("open", "--endpoint", endpoint, env=keyed)
    assert (done.code, done.stdout) == (0, f"{endpoint}/\n")
    until = time.monotonic() + 20
    while not (opened := tmp_path / "opened").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert opened.read_text() == f"{endpoint}/\n"


def test_over_ssh_the_tunnel_is_told(run_cli: Cli) -> None:
    with serving(PAGE) as endpoint:
        port = endpoint.rpartition(":")[2]
        done = run_cli("open", "--endpoint", endpoint, env=OVER_SSH)
    assert (done.code, done.stdout) == (0, f"{endpoint}/\n")
    assert "this is an SSH session" in done.stderr
    assert f"ssh -N -L {port}:127.0.0.1:{port} " in done.stderr
    assert done.stderr.rstrip().endswith("@10.0.0.3")


def test_a_browser_needs_a_display_or_to_be_named() -> None:
    assert no_browser({}) == "there is no display"
    assert no_browser({"SSH_CONNECTION": "a 1 b 22"}) == "this is an SSH session"
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        assert no_browser({variable: "x", "SSH_CONNECTION": "a 1 b 22"}) == ""


def test_a_tunnel_goes_where_ssh_came_from_and_only_to_loopback() -> None:
    ssh = {"SSH_CONNECTION": "10.0.0.7 51000 10.0.0.3 2222"}
    assert "-L 9999:127.0.0.1:9999 -p 2222 " in tunnel("http://127.0.0.1:9999/", ssh)
    assert "-L 9999:[::1]:9999" in tunnel("http://[::1]:9999/", ssh).replace("'", "")
    assert tunnel("http://10.0.0.3:9999/", ssh) == ""


# ---- what must be there first


def test_an_unknown_deployment_is_said(run_cli: Cli, docker_engine: DockerClient) -> None:
    done = run_cli("open", "nobody-of-that-name", "--json")
    assert (done.code, done.json["error"]["code"]) == (6, "no-such-deployment")


def test_nothing_at_the_address_is_said(run_cli: Cli, free_port: int) -> None:
    done = run_cli("open", "--endpoint", f"http://127.0.0.1:{free_port}")
    assert done.code == 7
    assert f"nothing answers at http://127.0.0.1:{free_port}/" in done.stderr


def test_an_unhealthy_engine_has_no_page_opened(run_cli: Cli) -> None:
    with serving({**PAGE, "/health": (503, "text/plain")}) as endpoint:
        done = run_cli("open", "--endpoint", endpoint)
    assert (done.code, done.stdout) == (7, "")
    assert "/health says HTTP 503" in done.stderr


@pytest.mark.parametrize("page", [(404, "application/json"), (200, "application/json"), (401, "text/html")])
def test_an_endpoint_without_a_page_is_talked_to_here(page: tuple[int, str], run_cli: Cli) -> None:
    with serving({**PAGE, "/": page}) as endpoint:
        done = run_cli("open", "--endpoint", endpoint)
    assert (done.code, done.stdout) == (3, "")
    assert f"  fix  stepaudio-serve chat --endpoint {endpoint}\n" in done.stderr


def test_a_deployment_without_its_guard_is_told_how_to_get_it(run_cli: Cli, free_port: int) -> None:
    own = ("--engine", "rehearsal", "--runtime", "process", "--name", "mine", "--port", str(free_port))
    started = run_cli("up", *own, "--no-guard", "--canary", "off", env=ENVIRONMENT)
    assert started.code == 0, started.stderr
    try:
        done = run_cli("open", "mine", env=ENVIRONMENT)
    finally:
        run_cli("down", "mine", "--stop-grace", "0", env=ENVIRONMENT)
    assert done.code == 3
    assert "the guard is switched off in `mine`" in done.stderr
    assert "  fix  stepaudio-serve up --replace " in done.stderr
    assert "--guard --guard-page" in done.stderr


def test_an_endpoint_and_a_name_do_not_go_together(run_cli: Cli) -> None:
    assert run_cli("open", "mine", "--endpoint", "http://127.0.0.1:1").code == 2

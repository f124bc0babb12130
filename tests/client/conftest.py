from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.chat_server import chat_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.chat_server import ChatServer


@pytest.fixture(scope="session")
def running_server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture
def server(running_server: ChatServer) -> ChatServer:
    return running_server.forget()

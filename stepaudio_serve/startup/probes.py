"""Probes: is the endpoint there, and does it say that it is healthy?"""

from __future__ import annotations

import http.client
from typing import Literal
from urllib.parse import urlsplit

Health = Literal["healthy", "unhealthy", "unreachable"]


def health(endpoint: str, *, timeout: float = 2.0) -> Health:
    """Ask `/health` once. `timeout` in seconds.

    Refused, reset and closed without a word all mean that the server does not listen yet: a container
    engine's proxy accepts before the engine does. Any answer but 200 is unhealthy, and so is silence.
    """
    parts = urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)
    try:
        connection.request("GET", "/health")
        return "healthy" if connection.getresponse().status == 200 else "unhealthy"
    except TimeoutError:
        return "unhealthy"
    except (OSError, http.client.HTTPException):
        return "unreachable"
    finally:
        connection.close()

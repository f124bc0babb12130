"""Probes: is the endpoint there, does it say that it is healthy, and which models does it list?"""

from __future__ import annotations

import http.client
import json
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


def served_models(endpoint: str, *, api_key: str | None = None, timeout: float = 2.0) -> tuple[str, ...] | None:
    """The names that `/v1/models` lists, asked once with the key; None where it does not say. `timeout` in seconds."""
    parts = urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)
    try:
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {api_key}"} if api_key else {})
        answer = connection.getresponse()
        listed = json.loads(answer.read()) if answer.status == 200 else None
        return None if listed is None else tuple(str(model["id"]) for model in listed["data"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()

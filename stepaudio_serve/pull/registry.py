"""What an image's registry tells before a layer is fetched: how large it is, and for which processors it exists.

The registry is asked itself (OCI distribution, anonymously), since the engine tells no sizes. It is a courtesy: where
the registry does not answer us, as a private one, the pull itself has the last word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .problems import reason

if TYPE_CHECKING:
    import httpx

SECONDS = 5.0
"""The time limit of each request."""
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
DOCKER_HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as it is fetched: compressed, in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class RegistryImage:
    """Platforms as Docker writes them (`linux/amd64`); `layers` for the wanted one, empty where it is not there."""

    platforms: tuple[str, ...]
    layers: tuple[Layer, ...]

    @property
    def size(self) -> int:
        """Bytes of all layers, compressed."""
        return sum(layer.size for layer in self.layers)


def look_in_registry(reference: str, architecture: str) -> RegistryImage | None:
    """Ask the registry of `reference` for its image for linux on this processor; None where it does not tell.

    Raises:
        ConnectionError: it cannot be reached from here, with why.
    """
    import httpx

    base, tag = _address(reference)
    proxied = not base.startswith("http://")
    with httpx.Client(base_url=base, timeout=SECONDS, follow_redirects=True, trust_env=proxied) as client:
        try:
            return _Asked(client).image(tag, architecture)
        except httpx.TransportError as error:
            raise ConnectionError(reason(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, KeyError, TypeError, ValueError):
            return None


def _address(reference: str) -> tuple[str, str]:
    """The repository's address in its registry, and the tag or digest."""
    from docker.auth import INDEX_NAME, resolve_repository_name
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(reference)
    host, name = resolve_repository_name(repository)
    if host == INDEX_NAME:
        host, name = DOCKER_HUB, name if "/" in name else f"library/{name}"
    loopback = host.split(":")[0] in {"127.0.0.1", "localhost"}  # Docker asks no TLS of these
    return f"{'http' if loopback else 'https'}://{host}/v2/{name}/", tag or "latest"


class _Asked:
    """One registry, one repository; gets itself an anonymous token where the registry wants one."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._token = ""

    def image(self, tag: str, architecture: str) -> RegistryImage:
        """The index or manifest of the tag, read for one processor."""
        top = self._get(f"manifests/{tag}")
        if "manifests" not in top:
            config = self._get(f"blobs/{top['config']['digest']}")
            platform = f"{config['os']}/{config['architecture']}"
            return RegistryImage((platform,), _layers(top) if platform == f"linux/{architecture}" else ())
        entries = {_platform(entry): entry["digest"] for entry in reversed(top["manifests"]) if "platform" in entry}
        entries.pop("unknown/unknown", None)  # attestations
        digest = entries.get(f"linux/{architecture}")
        layers = _layers(self._get(f"manifests/{digest}")) if digest else ()
        return RegistryImage(tuple(sorted(entries)), layers)

    def _get(self, path: str) -> dict[str, Any]:
        answer = self._ask(path)
        if answer.status_code == 401 and not self._token:
            self._token = self._anonymous_token(answer.headers["www-authenticate"])
            answer = self._ask(path)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def _ask(self, path: str) -> httpx.Response:
        headers = {"accept": ", ".join((*MANIFESTS, "*/*"))}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        return self._client.get(path, headers=headers)

    def _anonymous_token(self, challenge: str) -> str:
        words = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        answer = self._client.get(words.pop("realm"), params=words)
        answer.raise_for_status()
        found = answer.json()
        return str(found.get("token") or found["access_token"])


def _platform(entry: dict[str, Any]) -> str:
    return f"{entry['platform']['os']}/{entry['platform']['architecture']}"


def _layers(manifest: dict[str, Any]) -> tuple[Layer, ...]:
    return tuple(Layer(str(layer["digest"]), int(layer["size"])) for layer in manifest["layers"])

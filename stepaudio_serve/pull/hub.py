"""What a Hub repository holds: its files with sizes and digests, by one request with a time limit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ..errors import RefusedError
from .problems import HubUnreachableError, of_answer, of_connection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LISTING_SECONDS = 15.0
NEEDED = ("*.safetensors", "*.json", "*.py", "*.jinja", "*.model", "*.tiktoken", "*.txt")
"""What vLLM reads of a checkpoint: weights, configuration, code, chat template, tokenizer."""
OTHER_FORMATS = ("original/*", "onnx/*", "consolidated*.safetensors", ".*", "*/.*")
"""The same weights once more, for other programs; and hidden files."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository; `digest` is the SHA-256 of a large file, the Git blob's SHA-1 of a small one."""

    name: str
    size: int
    digest: str

    @property
    def is_large(self) -> bool:
        """Kept beside the Git repository, as weights are."""
        return len(self.digest) == 64


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a checkpoint at one commit, and the names of those that no engine needs."""

    repository: str
    revision: str
    commit: str
    files: tuple[HubFile, ...]
    left_out: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files that are needed."""
        return sum(file.size for file in self.files)


def list_files(repository: str, revision: str | None) -> Listing:
    """Ask the Hub (HF_ENDPOINT, or huggingface.co) what the repository holds at a revision, by default `main`.

    Raises:
        HubUnreachableError: it cannot be asked now: offline, no network, or a failure of its own.
        RefusedError: it does not have the repository or revision, or does not give it to this user.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=LISTING_SECONDS)
    except OfflineModeIsEnabled as error:
        raise HubUnreachableError(
            f"{repository} cannot be looked up: HF_HUB_OFFLINE is set",
            why="it forbids the Hub's library every request",
            fix="unset HF_HUB_OFFLINE",
        ) from error
    except HFValidationError as error:
        raise RefusedError(f"{repository} is no repository's name", why=str(error), fix="--model OWNER/NAME") from error
    except HfHubHTTPError as error:
        answer = error.response
        raise of_answer(repository, answer.status_code, answer.headers, revision=revision) from error
    except Exception as error:  # httpx in version 1 of the library, httpx2 in version 2
        if type(error).__module__.split(".")[0] not in {"httpx", "httpx2", "json"}:
            raise
        raise of_connection(repository, error) from error
    files = [_file(repository, item) for item in info.siblings or ()]
    return _listing(repository, revision or "main", info.sha or "", files)


def address(listing: Listing, file: HubFile) -> str:
    """Where a file is downloaded from."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(listing.repository, file.name, revision=listing.commit)


def request_headers() -> Mapping[str, str]:
    """User agent and the user's token, from HF_TOKEN or `hf auth login`."""
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, but typed as private

    return build_hf_headers(library_name="stepaudio-serve")


def _file(repository: str, item: Any) -> HubFile:
    digest = item.lfs.sha256 if item.lfs else item.blob_id
    path = PurePosixPath(item.rfilename)
    if path.is_absolute() or ".." in path.parts or item.size is None or not _DIGEST.fullmatch(digest or ""):
        raise RefusedError(
            f"the Hub's list of {repository} cannot be used",
            why=f"{item.rfilename!r} has no safe name, size and digest; is HF_ENDPOINT a Hub?",
            fix="unset HF_ENDPOINT",
        )
    return HubFile(item.rfilename, int(item.size), digest)


def _listing(repository: str, revision: str, commit: str, files: Iterable[HubFile]) -> Listing:
    if not _COMMIT.fullmatch(commit):
        raise RefusedError(
            f"the Hub does not tell the commit of {repository}", why="is HF_ENDPOINT a Hub?", fix="unset HF_ENDPOINT"
        )
    needed: list[HubFile] = []
    left_out: list[str] = []
    for file in files:
        if _matches(file.name, NEEDED) and not _matches(file.name, OTHER_FORMATS):
            needed.append(file)
        else:
            left_out.append(file.name)
    return Listing(repository, revision, commit, tuple(needed), tuple(left_out))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)

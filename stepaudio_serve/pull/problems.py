"""What keeps a download from going on, in words: the Hub's answer, the connection, the disk."""

from __future__ import annotations

import errno
import os
import re
import shlex
from typing import TYPE_CHECKING

from ..diagnosis import redact
from ..errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEPT = "what is there already is kept, and the same command goes on from there"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class HubUnreachableError(RefusedError):
    """The Hub cannot be asked now; what is on the disk may be enough."""


def of_answer(
    repository: str, status: int, headers: Mapping[str, str], *, revision: str | None = None, file: str = ""
) -> RefusedError:
    """An HTTP answer that is not the wanted one; `file` is what was asked for, empty for the list of all."""
    code, said = headers.get("x-error-code", ""), redact(headers.get("x-error-message", ""))
    sent = _token_sent()
    if status == 401 and sent and (code == "GatedRepo" or not code or "Invalid credentials" in said):
        return _wrong_token(file or repository, sent)
    if code == "GatedRepo":
        return _gated(repository, status)
    if code in {"RevisionNotFound", "RepoNotFound"} or (status == 404 and not file):
        return _not_found(repository, revision if code == "RevisionNotFound" else None)
    if status in {401, 403}:
        return RefusedError(
            f"the Hub does not give {file or repository} to this user ({status})",
            why=said or (f"it knows the user by {sent}, who has no right to it" if sent else "no token was sent"),
            fix="hf auth login   (or set HF_TOKEN)",
        )
    if status == 404:
        return RefusedError(
            f"{file} is not in {repository} any more",
            why="the Hub lists it and does not have it: it may just have been changed",
            fix=f"stepaudio-serve pull --model {repository}",
        )
    return _not_now(file or repository, repository, status, headers, said)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait after a 429: `Retry-After`, or `t=` of the Hub's `RateLimit` header; None where not told."""
    if (plain := headers.get("retry-after", "")).isdecimal():
        return float(plain)
    found = re.search(r"\bt=(\d+)", headers.get("ratelimit", ""))
    return float(found[1]) if found else None


def of_connection(repository: str, error: Exception) -> HubUnreachableError:
    """No connection, or one that ended too often."""
    if type(error).__name__ in {"UnsupportedProtocol", "InvalidURL"}:
        return HubUnreachableError(
            f"HF_ENDPOINT={_endpoint()} is no address of a Hub",
            why="an address begins with https:// or http://, and a host follows",
            fix="unset HF_ENDPOINT   (or a mirror: HF_ENDPOINT=https://MIRROR)",
        )
    return HubUnreachableError(
        f"the Hub at {_endpoint()} cannot be reached",
        why=f"{reason(error)}; {KEPT}",
        fix=f"stepaudio-serve pull --model {repository}   (a mirror: HF_ENDPOINT=https://MIRROR)",
    )


def reason(error: Exception) -> str:
    """Why there is no connection, in words."""
    text = redact(str(error))
    if any(words in text for words in ("Name or service not known", "name resolution", "nodename nor servname")):
        return "its name cannot be resolved: no network, or no DNS"
    if "refused" in text:
        return "the connection was refused"
    if "CERTIFICATE" in text:
        return f"its certificate is not trusted ({text}); behind a proxy of your own: SSL_CERT_FILE"
    if "Timeout" in type(error).__name__:
        return "it did not answer in time"
    return text or type(error).__name__


def of_disk(error: OSError, path: Path) -> RefusedError:
    """The disk is full, or the folder may not be written."""
    if error.errno in _FULL:
        return RefusedError(
            f"the disk is full: {path.name} could not be written to {path.parent}",
            why=KEPT,
            fix="free some room and run it again, or: --models-dir DIR   (on another disk)",
        )
    if error.errno in _FORBIDDEN:
        return RefusedError(
            f"{path.parent} may not be written by this user",
            why=error.strerror or str(error),
            fix=f"ls -ld {shlex.quote(str(path.parent))}   (elsewhere: --models-dir DIR, or HF_HOME=DIR)",
        )
    return RefusedError(f"{path} cannot be written: {error.strerror or error}", why=KEPT, fix="--models-dir DIR")


def _gated(repository: str, status: int) -> RefusedError:
    if status == 401:
        return RefusedError(
            f"{repository} is gated: the Hub wants to know who asks",
            why="no token was sent",
            fix="hf auth login   (or set HF_TOKEN)",
        )
    return RefusedError(
        f"{repository} is gated, and this user has no access yet",
        why="its authors give access on the repository's page",
        fix=_page(repository),
    )


def _token_sent() -> str:
    """Where the token came from that the Hub got; empty where it got none."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, but typed as private

    if "authorization" not in build_hf_headers():
        return ""
    named = (name for name in ("HF_OIDC_RESOURCE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if os.environ.get(name))
    return f"the token of {next(named, constants.HF_TOKEN_PATH)}"


def _wrong_token(wanted: str, sent: str) -> RefusedError:
    variable = sent.rpartition(" ")[2]
    first = f"unset {variable}; " if variable in os.environ else ""
    return RefusedError(
        f"the Hub does not accept {sent} (401)",
        why=f"it was sent with the request for {wanted}; it may have expired, or been cut when it was copied",
        fix=f"{first}hf auth login   (what is public needs no token)",
    )


def _not_found(repository: str, revision: str | None) -> RefusedError:
    if revision is not None:
        return RefusedError(
            f"{repository} has no revision {revision}",
            why="a branch, a tag or a commit of the repository is meant",
            fix=_page(repository, "commits/main"),
        )
    return RefusedError(
        f"there is no repository {repository} that this user may see",
        why=f"the Hub at {_endpoint()} does not have it, or it is private",
        fix="--model OWNER/NAME   (a private one: hf auth login, or HF_TOKEN)",
    )


def _not_now(wanted: str, repository: str, status: int, headers: Mapping[str, str], said: str) -> HubUnreachableError:
    again = f"stepaudio-serve pull --model {repository}"
    if status == 429:
        seconds = retry_after(headers)
        wait = f"it takes requests again in {seconds:.0f} s" if seconds is not None else "it does not say for how long"
        return HubUnreachableError(
            "the Hub takes no more requests from here for now (429)",
            why=f"{wait}; {KEPT}",
            fix=f"sleep {seconds or 60:.0f}; {again}   (a token raises the limit: hf auth login)",
        )
    why = f"a failure of its own{f': {said}' if said else ''}; {KEPT}" if status >= 500 else said or "not expected"
    return HubUnreachableError(f"the Hub failed to give {wanted} ({status})", why=why, fix=f"{again}   (later)")


def _page(repository: str, below: str = "") -> str:
    return f"open {_endpoint()}/{repository}{f'/{below}' if below else ''}"


def _endpoint() -> str:
    from huggingface_hub.constants import ENDPOINT

    return redact(ENDPOINT)

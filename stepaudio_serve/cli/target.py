"""Whom a question goes to: a deployment, or an endpoint that was named, and with which key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import StepAudioError
from .output import notice
from .selection import only_settings, selected_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..client.wire import Question
    from ..settings.sources import Resolved


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask: a `question` without messages, and the deployment's name, where it is one."""

    question: Question
    deployment: str | None

    def context(self) -> int | None:
        """The context of the model, as the endpoint says."""
        from ..client.endpoint import context_of

        return context_of(self.question)

    def named_in_fixes(self) -> _NamedInFixes:
        """Within it, errors name the deployment in what they tell to type: a library's question knows none."""
        return _NamedInFixes(self.deployment)


@dataclass(frozen=True, slots=True)
class _NamedInFixes:
    deployment: str | None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if (
            self.deployment
            and isinstance(error, StepAudioError)
            and error.fix.startswith(("stepaudio-serve status", "stepaudio-serve wait", "stepaudio-serve logs"))
        ):
            error.fix += f" {self.deployment}"


def target_of(flags: Mapping[str, Any]) -> Target:
    """The endpoint that was named, or the deployment's; `flags` are those of a command that asks.

    Raises:
        NoSuchDeploymentError: none of that name is ours. SettingsError: a setting is wrong. RefusedError: the key
        cannot be read.
    """
    from ..client.wire import Question
    from ..lifecycle.api_key import key_of
    from ..runtime.choose import locate

    resolved = only_settings("api_key", "api_key_file", "served_model_name")
    settings, endpoint = resolved.settings, flags["endpoint"]
    found: str | None = None
    if endpoint:
        served = flags["model"] or settings.served_model_name
        key = key_of(settings) if may_have_key(endpoint, resolved) else None
    else:
        _, deployment = locate(selected_name(flags["name"], None))
        endpoint, served, key, found = (
            deployment.endpoint,
            deployment.model,
            key_of(settings, deployment),
            deployment.name,
        )
    return Target(
        Question(
            endpoint=endpoint,
            model=served,
            messages=[],
            api_key=key,
            max_tokens=flags["max_tokens"],
            temperature=flags["temperature"],
            timeout=flags["timeout"],
        ),
        found,
    )


def may_have_key(endpoint: str, resolved: Resolved) -> bool:
    """Whether an endpoint that was named gets the key of the settings.

    One on this machine does. Any other gets a key of the environment, which was set for this command; a file's
    key is for the deployments of this machine.
    """
    from ..client.wire import chat_url, is_this_machine

    host = chat_url(endpoint).host
    origins = [resolved.origins[name] for name in ("api_key", "api_key_file")]
    if is_this_machine(host) or any(origin.source == "environment" for origin in origins):
        return True
    for origin in origins:
        if origin.source != "default":
            notice(f"the key of {origin.place} is not sent to {host}; STEPAUDIO_API_KEY_FILE=FILE sends one")
    return False

"""Whether the Step-Audio plugin that a deployment was given has been loaded: told by the engine's own log.

vLLM only logs that a plugin cannot be imported and goes on without it; what follows from that is misleading. The
plugin's own line, once a process, is the proof that it is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..diagnosis import Diagnosis
from ..plan.plugin import VARIABLE, brings_plugin
from ..settings.options import Settings
from ..vllm_plugin import release

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..runtime.deployment import Deployment
    from ..startup.phases import Fact

NOT_LOADED = "plugin-not-loaded"
_CAUSE = "The engine went on without the Step-Audio plugin, which its log does not show; so it does not know the model."
_FIX = "`stepaudio-serve logs` shows why, if `plugin` is in it; {variable}, where it is set, must name {name}"


@dataclass(frozen=True, slots=True)
class Plugin:
    """The plugin of one deployment.

    `version` is what its line in the log says, `loaded` is None where the log's beginning was not seen. `listed`: the
    endpoint serves the deployment's model by its name; None where it was not asked, or did not say.
    """

    version: str | None
    loaded: bool | None
    listed: bool | None = None

    @property
    def doubt(self) -> str:
        """What speaks against it, in words; empty where nothing does."""
        if self.loaded is False:
            return (
                "the engine answers, but its log does not show the Step-Audio plugin: "
                f"{VARIABLE} leaves it out, or this vLLM knows {release.ARCHITECTURE} by itself"
            )
        return "the endpoint does not list the model's name at /v1/models" if self.listed is False else ""

    def to_json(self) -> dict[str, Any]:
        """The object `plugin` of a deployment."""
        return {"version": self.version, "loaded": self.loaded, "listed": self.listed}


def expects_plugin(deployment: Deployment) -> bool:
    """Whether it was started with our plugin: its settings say so, whoever rendered or started it."""
    if deployment.engine != "vllm":
        return False
    kept = {key: deployment.settings[key] for key in ("engine_image", "recipe") if key in deployment.settings}
    try:
        return brings_plugin(Settings.model_validate(kept))
    except ValueError:  # an image of another version of the program
        return False


def plugin_in(deployment: Deployment, facts: Mapping[str, Fact]) -> Plugin | None:
    """What the facts of a start tell; None where the deployment has no plugin of ours.

    Only a log whose beginning was seen, in which vLLM names its version, can tell that the plugin's line is missing.
    """
    if not expects_plugin(deployment):
        return None
    version = facts.get("plugin")
    if version is not None:
        return Plugin(str(version), loaded=True)
    return Plugin(None, loaded=False if "version" in facts else None)


def with_plugin_told(
    diagnoses: Sequence[Diagnosis], deployment: Deployment, lines: Iterable[str]
) -> tuple[Diagnosis, ...]:
    """The diagnoses of a failed start, led by the plugin's absence where the first fatal one comes from it.

    Not told by the missing line alone: it may have been lost, and another cause stands in the log.
    """
    from ..startup.phases import INITIAL, advance

    found = tuple(diagnoses)
    first = next((item for item in found if item.severity == "fatal"), None)
    if first is None or not expects_plugin(deployment):
        return found
    progress = INITIAL
    for line in lines:
        progress = advance(progress, line)
    if "plugin" in progress.facts or not _does_not_know_the_model(first, progress.facts):
        return found
    fix = _FIX.format(variable=VARIABLE, name=release.ENTRY_POINT_NAME)
    return (Diagnosis(NOT_LOADED, "fatal", _CAUSE, first.evidence, fix, {}), *found)


def _does_not_know_the_model(diagnosis: Diagnosis, facts: Mapping[str, Fact]) -> bool:
    """Whether it is what vLLM says of a Step-Audio checkpoint when no plugin has told it of the model.

    It then wants the checkpoint's own code to read the config, before it has resolved the architecture; for a tokenizer
    or a processor it may want some later.
    """
    if diagnosis.id == "model-type-unknown":
        return diagnosis.data.get("type") == release.MODEL_TYPE
    if diagnosis.id == "architecture-unsupported":
        return release.ARCHITECTURE in diagnosis.data.get("architectures", "")
    return diagnosis.id == "remote-code-off" and "architecture" not in facts

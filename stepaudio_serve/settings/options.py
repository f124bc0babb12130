"""The settings, each declared once.

A field's name is the engine's own name wherever the engine has one. From the declaration derive the flag
(`--max-model-len`), the environment variable (`STEPAUDIO_MAX_MODEL_LEN`), the file key (`max_model_len`),
the help text, the default and the JSON schema.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

DEFAULT_MODEL = "Firworks/Step-Audio-R1-nvfp4"
DEFAULT_MAX_MODEL_LEN = 16384  # tokens; the model card's
WEEK = 7 * 24 * 3600  # seconds; longer waits are mistakes, and overflow the clocks behind them
CHAT_TEMPLATES = ("step-audio-r1", "official")


@dataclass(frozen=True, slots=True)
class Flag:
    """How a setting looks on the command line: its group in `--help` and the placeholder of its value."""

    group: str
    metavar: str = ""


def _joined(value: Any) -> Any:
    return ",".join(str(item) for item in value) if isinstance(value, list | tuple) else value


def _gpus(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _joined(value)


def _distinct(gpus: str) -> str:
    ids = gpus.split(",")
    if len(set(ids)) < len(ids):
        raise ValueError("a GPU is named twice")
    return gpus


def _number(value: Any) -> Any:
    """YAML reads yes as true, and true counts as 1: no number was meant."""
    if isinstance(value, bool):
        raise ValueError("on and off are not numbers")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _address(host: Any) -> Any:
    """An address in its usual spelling. Never a name: a container engine takes one as *every* interface."""
    if not isinstance(host, str):
        return host
    return "127.0.0.1" if host == "localhost" else str(ipaddress.ip_address(host.strip("[]")))


def _sendable(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
        raise ValueError("a key consists of visible ASCII characters, without spaces")
    return key


def _yaml_word(value: Any) -> Any:
    """YAML reads a bare on, off or no as a boolean; these settings mean the word."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _yaml_no(value: Any) -> Any:
    return "no" if value is False else value


def _words(value: Any) -> Any:
    return tuple(shlex.split(value)) if isinstance(value, str) else () if value is None else value


def _expand(value: Any) -> Any:
    """Absolute, so that a restart from another folder finds the same file."""
    if not isinstance(value, str):
        return value
    if not value:
        raise ValueError("a path is not empty")
    try:
        return Path(_printable(value)).expanduser().absolute()
    except RuntimeError as error:  # ~nobody
        raise ValueError(str(error)) from error


def _printable(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("it contains control characters")
    return text


_GPU = r"([0-9]+(:[0-9]+)?|(GPU|MIG)-[A-Za-z0-9/-]+)"  # index, index:slice, or UUID
_ORIGIN = r"https?://[^/\s,]+"
Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
FilePath = Annotated[Path, BeforeValidator(_expand)]
Text = Annotated[str, AfterValidator(_printable)]
PositiveInt = Annotated[int, Field(ge=1), BeforeValidator(_number)]
Seconds = Annotated[float, Field(gt=0, le=WEEK), BeforeValidator(_number)]
OnOff = bool


class Settings(BaseModel):
    """Every setting of a deployment. Frozen; sizes in tokens, times in seconds.

    Raises:
        pydantic.ValidationError: when built directly with a wrong value. `settings.sources.resolve`
            turns that into a `SettingsError` which says where the value came from.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=True,
        validate_default=True,
        json_schema_extra={"description": "Settings of stepaudio-serve; sizes in tokens, times in seconds."},
    )

    model: Annotated[Text, Flag("Model", "FOLDER|REPO")] = Field(
        default=DEFAULT_MODEL,
        min_length=1,
        description="Checkpoint: a folder, or the name of a Hub repository on disk.",
    )
    models_dir: Annotated[FilePath | None, Flag("Model", "DIR")] = Field(
        default=None, description="Where checkpoints named by Hub repository are looked for."
    )
    revision: Annotated[Text | None, Flag("Model", "REV")] = Field(
        default=None, description="Revision of the Hub repository (branch, tag or commit)."
    )
    served_model_name: Annotated[Text, Flag("Model", "NAME")] = Field(
        default="Step-Audio-R1", min_length=1, description="Model name that clients send."
    )
    chat_template: Annotated[Text, Flag("Model", "NAME|FILE")] = Field(
        default="step-audio-r1", min_length=1, description="Chat template: step-audio-r1, official, or a Jinja file."
    )
    trust_remote_code: Annotated[Literal["auto", "on", "off", "pinned"], BeforeValidator(_yaml_word), Flag("Model")] = (
        Field(
            default="auto",
            description="Let the engine run the code files in the checkpoint folder; auto: where the image needs them.",
        )
    )

    engine: Annotated[Literal["vllm", "rehearsal"], Flag("Engine")] = Field(
        default="vllm", description="What serves: vLLM, or the rehearsal engine (no model, no GPU)."
    )
    engine_image: Annotated[Literal["stepfun", "upstream"], Flag("Engine")] = Field(
        default="stepfun",
        description="Image and its flags; stepfun: the model card's, frozen in 2025, for amd64; upstream: a current "
        "vLLM with our plugin, for amd64 and arm64, tried on CPUs only.",
    )
    image: Annotated[str | None, Flag("Engine", "REF")] = Field(
        default=None,
        pattern=r"^[^\s-]\S*$",
        examples=["stepfun2025/vllm:step-audio-2-v20250909"],
        description="Exact image reference; flags and plugin remain those of --engine-image.",
    )
    runtime: Annotated[Literal["docker", "process"], Flag("Engine")] = Field(
        default="docker", description="Where the engine runs: a container, or a child process."
    )
    engine_args: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(
        default=(), description="Further arguments for the engine (on the command line: after --)."
    )

    name: Annotated[Name, Flag("Deployment", "NAME")] = Field(
        default="step-audio-r1", examples=["step-audio-r1", "r1.test_2"], description="Name of the deployment."
    )
    host: Annotated[str, BeforeValidator(_address), Flag("Deployment", "ADDRESS")] = Field(
        default="127.0.0.1",
        examples=["127.0.0.1", "0.0.0.0", "::1"],  # noqa: S104 - said, not bound
        description="Address to publish the endpoint on.",
    )
    port: Annotated[int, Field(ge=1, le=65535), BeforeValidator(_number), Flag("Deployment", "PORT")] = Field(
        default=9999, description="Port of the endpoint on this host."
    )
    api_key: Annotated[Annotated[SecretStr, AfterValidator(_sendable)] | None, Flag("Deployment", "KEY")] = Field(
        default=None, description="Key that clients must send; better: --api-key-file or STEPAUDIO_API_KEY."
    )
    api_key_file: Annotated[FilePath | None, Flag("Deployment", "FILE")] = Field(
        default=None, description="File that holds the key, one a line."
    )
    insecure: Annotated[OnOff, Flag("Deployment")] = Field(
        default=False, description="Allow an address beyond loopback without a key."
    )
    log_requests: Annotated[OnOff, Flag("Deployment")] = Field(
        default=False, description="Log every request with its prompt (they may be private)."
    )
    restart: Annotated[
        Literal["no", "on-failure", "always", "unless-stopped"], BeforeValidator(_yaml_no), Flag("Deployment")
    ] = Field(default="unless-stopped", description="Restart policy once the engine has been handed over.")
    cache: Annotated[str, Flag("Deployment", "VOLUME")] = Field(
        default="stepaudio-serve-cache",
        pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$",
        examples=["stepaudio-serve-cache"],
        description="Named volume for compile caches.",
    )

    guard: Annotated[OnOff, Flag("Guard")] = Field(
        default=True, description="Protect the engine inside its own server process."
    )
    guard_page: Annotated[OnOff, Flag("Guard")] = Field(default=True, description="Serve a page to talk to it, at /.")
    guard_metrics: Annotated[OnOff, Flag("Guard")] = Field(default=True, description="Serve /metrics, with the key.")
    guard_separate_thinking: Annotated[OnOff, Flag("Guard")] = Field(
        default=True, description="Send the thinking as reasoning_content, beside the answer; off: as one raw text."
    )
    guard_cors_origins: Annotated[str | None, BeforeValidator(_joined), Flag("Guard", "ORIGIN,...")] = Field(
        default=None,
        pattern=rf"^(\*|{_ORIGIN}(,{_ORIGIN})*)$",
        examples=["https://app.example.org"],
        description="Origins whose web pages may call; * for all.",
    )
    guard_max_request_bytes: Annotated[PositiveInt, Flag("Guard", "BYTES")] = Field(
        default=64 * 2**20, description="Most bytes of one request."
    )
    guard_max_audio_seconds: Annotated[Seconds | Literal["auto"], Flag("Guard", "SECONDS|auto")] = Field(
        default="auto", description="Most audio in one request; auto: what the context holds."
    )
    guard_max_audio_parts: Annotated[PositiveInt, Flag("Guard", "N")] = Field(
        default=64, description="Most clips in one request, counted after cutting."
    )
    guard_max_text_characters: Annotated[PositiveInt, Flag("Guard", "N")] = Field(
        default=200_000, description="Most characters of text in one request."
    )
    guard_max_tokens: Annotated[PositiveInt | Literal["auto"], Flag("Guard", "TOKENS|auto")] = Field(
        default="auto", description="Most tokens of one answer; auto: what the context holds."
    )
    guard_max_choices: Annotated[PositiveInt, Flag("Guard", "N")] = Field(
        default=4, description="Most answers to one request (n)."
    )
    guard_max_concurrent_requests: Annotated[PositiveInt, Flag("Guard", "N")] = Field(
        default=128, description="Most requests at a time, those that wait in the engine among them."
    )
    guard_max_queued_decodes: Annotated[PositiveInt, Flag("Guard", "N")] = Field(
        default=64, description="Most sounds that are, or wait to be, decoded."
    )

    gpus: Annotated[str, BeforeValidator(_gpus), AfterValidator(_distinct), Flag("Size", "all|0,1|none")] = Field(
        default="all",
        pattern=rf"^(all|none|{_GPU}(,{_GPU})*)$",
        examples=["all", "none", "0,1"],
        description="GPUs: all, none, or ids separated by commas.",
    )
    max_model_len: Annotated[PositiveInt | Literal["auto"], Flag("Size", "TOKENS|auto")] = Field(
        default=DEFAULT_MAX_MODEL_LEN,
        description="Longest prompt and answer together, in tokens; auto: what the KV cache and the model hold.",
    )
    max_num_seqs: Annotated[PositiveInt, Flag("Size", "N")] = Field(default=32, description="Most requests at a time.")
    max_num_batched_tokens: Annotated[PositiveInt | Literal["auto"], Flag("Size", "TOKENS|auto")] = Field(
        default="auto",
        description="Most tokens in one step; fewer leave more for the KV cache; auto: the engine's default, or a half "
        "or quarter of it where that pays.",
    )
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1), BeforeValidator(_number), Flag("Size", "FRACTION")] = (
        Field(default=0.90, description="Share of each GPU's memory to use.")
    )
    tensor_parallel_size: Annotated[PositiveInt | Literal["auto"], Flag("Size", "N|auto")] = Field(
        default="auto",
        description="Number of GPUs to split the model over; auto: as many of one kind as context and requests need.",
    )

    canary: Annotated[Literal["lenient", "strict", "off"], BeforeValidator(_yaml_word), Flag("Start-up")] = Field(
        default="lenient",
        description="The spoken question before hand-off: a wrong answer warns, fails, or is not asked.",
    )
    ready_timeout: Annotated[Seconds, Flag("Start-up", "SECONDS")] = Field(
        default=1800, description="Give up when not ready by then."
    )
    stall_timeout: Annotated[Seconds, Flag("Start-up", "SECONDS")] = Field(
        default=600, description="Give up when the engine says nothing new for so long."
    )
    stop_grace: Annotated[int, Field(ge=0, le=WEEK), BeforeValidator(_number), Flag("Start-up", "SECONDS")] = Field(
        default=60, description="Time for answers in flight before the engine is killed."
    )

    recipe: Literal["stepaudio-serve", "model-card"] = Field(
        default="stepaudio-serve",
        description="model-card: exactly the model card's command, as the profile model-card asks; for comparison.",
    )

    @model_validator(mode="after")
    def _one_key_source(self) -> Settings:
        if self.api_key is not None and self.api_key_file is not None:
            raise ValueError("api_key and api_key_file exclude each other")
        return self

    @property
    def gpu_ids(self) -> tuple[str, ...]:
        """The chosen GPU ids; empty for `all` and `none`."""
        return () if self.gpus in {"all", "none"} else tuple(self.gpus.split(","))

    @property
    def has_key(self) -> bool:
        """Whether clients must send a key."""
        return self.api_key is not None or self.api_key_file is not None

    def to_label(self) -> dict[str, Any]:
        """What differs from the defaults, JSON-serialisable, without the secret itself."""
        return self.model_dump(mode="json", exclude={"api_key"}, exclude_defaults=True)


OWNED_ENGINE_FLAGS = {
    "--host": "host",
    "--port": "port",
    "--api-key": "api_key_file",
    "--served-model-name": "served_model_name",
    "--chat-template": "chat_template",
    "--max-model-len": "max_model_len",
    "--max-num-seqs": "max_num_seqs",
    "--max-num-batched-tokens": "max_num_batched_tokens",
    "--gpu-memory-utilization": "gpu_memory_utilization",
    "--tensor-parallel-size": "tensor_parallel_size",
    "-tp": "tensor_parallel_size",
    "--trust-remote-code": "trust_remote_code",
    "--enable-log-requests": "log_requests",
    "--uds": "host",
    "--model": "model",
    "--allowed-origins": "guard_cors_origins",
}


def owned_flag(argument: str) -> str | None:
    """The setting that owns an engine argument, or None: such an argument would contradict the plan."""
    flag = argument.partition("=")[0]
    if flag.startswith("--"):
        flag = "--" + flag[2:].replace("_", "-").removeprefix("no-")
    return OWNED_ENGINE_FLAGS.get(flag)

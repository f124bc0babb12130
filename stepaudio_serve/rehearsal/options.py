"""vLLM's command line: the flags that the rehearsal engine acts on, and the rest, taken and ignored.

vLLM parses with argparse, so this does too: lists after one flag, `--no-NAME`, and its usage errors are alike.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from . import data
from .failures import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

R1_POSITIONS = 65536
"""`max_position_embeddings` of Step-Audio-R1: the context length when none is asked for."""

_PROGRAM_WORDS = ("vllm", "serve")
_EPILOG = """\
Every other flag of `vllm serve` is taken and changes nothing.

environment:
  STEPAUDIO_REHEARSAL_LOAD_SECONDS     from start to serving (default 1.5)
  STEPAUDIO_REHEARSAL_TOKEN_SECONDS    between two words of an answer (default 0.01)
  STEPAUDIO_REHEARSAL_THINKING_WORDS   at least that many words of thinking (default 0)
  STEPAUDIO_REHEARSAL_FAIL             fail in one of the ways below
  STEPAUDIO_REHEARSAL_FAIL_SECONDS     for ways that come after the start: this long after it (default 1)

ways to fail:
"""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What of vLLM's command line matters here; `given` is everything that differs from vLLM's defaults."""

    model: str
    served_model_names: tuple[str, ...]
    host: str
    port: int
    uds: str | None
    max_model_len: int
    max_num_seqs: int
    enforce_eager: bool
    chat_template: str | None
    chat_template_content_format: Literal["string", "openai"] | None
    trust_request_chat_template: bool
    reasoning_parser: str | None
    api_keys: tuple[str, ...]
    middleware: tuple[str, ...]
    root_path: str
    allowed_origins: tuple[str, ...]
    allowed_methods: tuple[str, ...]
    allowed_headers: tuple[str, ...]
    allow_credentials: bool
    enable_log_requests: bool
    enable_server_load_tracking: bool
    uvicorn_log_level: str
    access_log: bool
    shutdown_timeout: int | None
    given: Mapping[str, object]


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> EngineOptions:
    """Read `[vllm] serve MODEL --flags`. Usage errors print vLLM's message and exit 2, `--help` exits 0."""
    words = list(arguments)
    if words[:1] == ["--"]:
        words = words[1:]
    while words and words[0] in _PROGRAM_WORDS:
        word = words.pop(0)
        if word == "serve":
            break
    parser, known = _parser()
    words = _spelled(words, known)
    namespace, unknown = parser.parse_known_args(words)
    if namespace.config:
        configured = _spelled(_from_file(parser, namespace.config), known)
        namespace, unknown = parser.parse_known_args([*configured, *words])
    if unknown:
        parser.print_usage()
        parser.exit(2, f"vllm: error: unrecognized arguments: {' '.join(unknown)}\n")
    model = namespace.model_tag or namespace.model
    if model is None:
        parser.error("the following arguments are required: model_tag")
    keys = namespace.api_key or [environment.get("VLLM_API_KEY", "")]
    return EngineOptions(
        model=model,
        served_model_names=tuple(namespace.served_model_name or [model]),
        host=namespace.host or "0.0.0.0",  # noqa: S104 - vLLM's default
        port=namespace.port,
        uds=namespace.uds,
        max_model_len=namespace.max_model_len,
        max_num_seqs=namespace.max_num_seqs,
        enforce_eager=namespace.enforce_eager,
        chat_template=namespace.chat_template,
        chat_template_content_format=_explicit_format(namespace.chat_template_content_format),
        trust_request_chat_template=namespace.trust_request_chat_template,
        reasoning_parser=namespace.reasoning_parser,
        api_keys=tuple(key for key in keys if key),
        middleware=tuple(namespace.middleware),
        root_path=(namespace.root_path or "").rstrip("/"),
        allowed_origins=tuple(namespace.allowed_origins),
        allowed_methods=tuple(namespace.allowed_methods),
        allowed_headers=tuple(namespace.allowed_headers),
        allow_credentials=namespace.allow_credentials,
        enable_log_requests=namespace.enable_log_requests,
        enable_server_load_tracking=namespace.enable_server_load_tracking,
        uvicorn_log_level=namespace.uvicorn_log_level,
        access_log=not namespace.disable_uvicorn_access_log,
        shutdown_timeout=namespace.shutdown_timeout,
        given=_given(parser, namespace),
    )


def context_length(text: str) -> int:
    """Tokens, as vLLM reads `--max-model-len`: `16384`, `16k` (thousands), `16K` (1024s), `auto` or -1."""
    if text in {"auto", "-1"}:
        return R1_POSITIONS
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"invalid value: {text!r}")
    scale = {"": 1, "k": 10**3, "K": 2**10, "m": 10**6, "M": 2**20}[match[2]]
    return int(float(match[1]) * scale)


def _parser() -> tuple[argparse.ArgumentParser, frozenset[str]]:
    parser = argparse.ArgumentParser(
        prog="vllm serve",
        usage="stepaudio-rehearsal serve [model_tag] [options of vllm serve]",
        description="An OpenAI-compatible engine without a model: it measures the audio it is sent.",
        epilog=_EPILOG + "".join(f"  {fault.id:22} {fault.help}\n" for fault in catalogue().values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    flag = parser.add_argument
    flag("model_tag", nargs="?", help="any name; a folder need not exist")
    flag("--model", help=argparse.SUPPRESS)
    flag("--config", metavar="FILE", help="YAML with any of these options; the command line wins")
    flag("--served-model-name", nargs="+", metavar="NAME", help="names in the API (default: the model)")
    flag("--host", help="address to listen on (default: all)")
    flag("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    flag("--uds", metavar="PATH", help="a Unix socket instead of host and port")
    flag("--max-model-len", type=context_length, default=R1_POSITIONS, metavar="TOKENS", help="context")
    flag("--max-num-seqs", type=int, default=256, metavar="N", help="answers at a time; more must wait")
    flag("--chat-template", metavar="FILE", help="path or the template's text (default: step-audio-r1)")
    flag("--chat-template-content-format", choices=("auto", "string", "openai"), default="auto")
    flag("--reasoning-parser", metavar="NAME", help="answer with the thinking in a field of its own")
    flag("--api-key", nargs="+", metavar="KEY", help="asked for on /v1 (also VLLM_API_KEY)")
    flag("--middleware", action="append", default=[], metavar="MODULE.CLASS", help="ASGI class, outermost")
    flag("--root-path", metavar="PATH", help="prefix that a proxy adds")
    flag("--shutdown-timeout", type=int, metavar="SECONDS", help="grace for answers (default: no limit)")
    flag("--uvicorn-log-level", default="info")
    flag("--disable-uvicorn-access-log", action=argparse.BooleanOptionalAction, default=False)
    for name in ("allowed-origins", "allowed-methods", "allowed-headers"):
        flag(f"--{name}", type=json.loads, default=["*"], metavar="JSON")
    for name in (
        "allow-credentials",
        "enable-log-requests",
        "enable-server-load-tracking",
        "enforce-eager",
        "trust-request-chat-template",
    ):
        flag(f"--{name}", action=argparse.BooleanOptionalAction, default=False)
    flag("-tp", "--tensor-parallel-size", type=int, default=1, help=argparse.SUPPRESS)
    _ignored(parser)
    known = frozenset(text for action in parser._actions for text in action.option_strings)  # noqa: SLF001
    return parser, known


def _ignored(parser: argparse.ArgumentParser) -> None:
    names = {kind: text.split() for kind, text in data.read("flags.yaml").items()}
    for name in names["switches"]:
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=None, help=argparse.SUPPRESS)
    for name in names["values"]:
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    for name in names["lists"]:
        parser.add_argument(f"--{name}", nargs="+", help=argparse.SUPPRESS)


def _spelled(words: Iterable[str], known: frozenset[str]) -> list[str]:
    """Flags with dashes instead of underscores, and `--name.key value` as `--name value`."""
    spelled = []
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            name = name.replace("_", "-")
            base = name.split(".", 1)[0]
            spelled.append((base if base in known else name) + equals + value)
        else:
            spelled.append(word)
    return spelled


def _from_file(parser: argparse.ArgumentParser, path: str) -> list[str]:
    try:
        entries = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        parser.exit(1, f"ValueError: cannot read the config file {path}: {error}\n")
    words: list[str] = []
    for name, value in entries.items():
        words += _words(str(name), value)
    return words


def _words(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}"] if value else []
    if isinstance(value, list):
        return [f"--{name}", *map(str, value)]
    return [f"--{name}", json.dumps(value) if isinstance(value, dict) else str(value)]


def _explicit_format(name: str) -> Literal["string", "openai"] | None:
    return "string" if name == "string" else "openai" if name == "openai" else None


def _given(parser: argparse.ArgumentParser, namespace: argparse.Namespace) -> Mapping[str, object]:
    values = {name: value for name, value in vars(namespace).items() if value != parser.get_default(name)}
    return values | ({"api_key": "***"} if "api_key" in values else {})

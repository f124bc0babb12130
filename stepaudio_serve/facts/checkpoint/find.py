"""The checkpoint folder: where it is, what it holds, which token ids end an answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkpoint import STOP_TOKENS, Checkpoint, TextShape, Weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TOKENIZER_HEAD_BYTES = 4 * 1024 * 1024
_REPOSITORY = re.compile(r"^[\w.-]+/[\w.-]+$")


def find_checkpoint(model: str, *, models_dir: Path, hub_cache: Path, revision: str | None = None) -> Checkpoint:
    """Find the folder that `model` names: a path, or a Hub repository that is on disk."""
    as_path = _expanded(model)
    if model.startswith(("/", "./", "../", "~")) or _is_folder(as_path) or not _REPOSITORY.match(model):
        path = Path.cwd() / as_path if not as_path.is_absolute() else as_path
        return _look(model, path, *_to_mount(path), is_repository=False)
    for candidate in (models_dir / model, models_dir / model.split("/")[1]):
        if _is_folder(candidate):
            return _look(model, candidate, candidate, "", is_repository=True)
    snapshot = _snapshot(hub_cache / f"models--{model.replace('/', '--')}", revision)
    if snapshot is not None:
        return _look(model, snapshot, *_to_mount(snapshot), is_repository=True)
    wanted = models_dir / model.split("/")[1]
    return Checkpoint(model, wanted, wanted, "", exists=False, problem="is not on this disk", is_repository=True)


def _to_mount(path: Path) -> tuple[Path, str]:
    """The folder to mount for a checkpoint, and where the checkpoint is below it."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # a name longer than any file's, links in a circle
        return path, ""
    if real.parent.name != "snapshots" or not _is_folder(real.parents[1] / "blobs"):
        return path, ""
    return real.parents[1], f"snapshots/{real.name}"


def _expanded(model: str) -> Path:
    try:
        return Path(model).expanduser()
    except RuntimeError:  # ~nobody
        return Path(model)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # may not be looked at, or its name is longer than any file's
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _snapshot(repository: Path, revision: str | None) -> Path | None:
    reference = repository / "refs" / (revision or "main")
    commit = reference.read_text("ascii").strip() if reference.is_file() else revision
    snapshot = repository / "snapshots" / (commit or "")
    return snapshot if commit and snapshot.is_dir() else None


def _look(requested: str, path: Path, mount_source: Path, inside: str, *, is_repository: bool) -> Checkpoint:
    place = (requested, path, mount_source, inside)
    if not _is_folder(path):
        problem = "is a file, not a folder" if _exists(path) else "does not exist, or may not be looked at"
        return Checkpoint(*place, exists=False, problem=problem, is_repository=is_repository)
    try:
        config = _json_object((path / "config.json").read_text("utf-8"))
    except FileNotFoundError:
        return Checkpoint(*place, exists=True, problem="has no config.json", is_repository=is_repository)
    except (OSError, ValueError) as error:
        problem = f"has a config.json that cannot be read: {error}"
        return Checkpoint(*place, exists=True, problem=problem, is_repository=is_repository)
    shards = sorted(path.glob("*.safetensors"))
    lost = [shard.name for shard in shards if not shard.is_file()]  # a link into the Hub's cache, whose blob is gone
    weights = sum(shard.stat().st_size for shard in shards if shard.is_file())
    return Checkpoint(
        *place,
        exists=True,
        problem=f"has no {lost[0]}: a link to nothing" if lost else "" if weights else "has no weights (*.safetensors)",
        is_repository=is_repository,
        architectures=tuple(map(str, config.get("architectures") or ())),
        text=_text_shape(config),
        weights=Weights(split=weights, whole=0) if weights else None,
        stop_ids=tuple(_stop_ids(path).items()),
        generation_config=_json_or_none(path / "generation_config.json"),
        has_remote_code="auto_map" in config,
    )


def _json_object(text: str) -> dict[str, Any]:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - malformed, like broken JSON
    return data


def _json_or_none(path: Path) -> Mapping[str, Any] | None:
    try:
        return _json_object(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _text_shape(config: Mapping[str, Any]) -> TextShape | None:
    text = config.get("text_config", config)
    try:
        heads = int(text["num_attention_heads"])
        kv_heads = int(text.get("num_attention_groups") or text.get("num_key_value_heads") or heads)
        head_dim = int(text.get("head_dim") or text["hidden_size"] // heads)
        return TextShape(
            layers=int(text["num_hidden_layers"]),
            kv_heads=kv_heads,
            head_dim=head_dim,
            heads=heads,
            max_positions=int(text.get("max_position_embeddings", 0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _stop_ids(path: Path) -> dict[str, int]:
    """Ids of the tokens that end an answer, from the small files first: tokenizer.json can be 11 MB."""
    known = dict(_listed(path))
    if "<|EOT|>" not in known:
        known.update(_added_tokens(path))
    return {token: known[token] for token in STOP_TOKENS if token in known}


def _listed(path: Path) -> Iterator[tuple[str, int]]:
    """Tokens of added_tokens.json (text to id), then those of tokenizer_config.json (id to description)."""
    added = _json_or_none(path / "added_tokens.json") or {}
    yield from ((token, number) for token, number in added.items() if isinstance(number, int))
    decoder = (_json_or_none(path / "tokenizer_config.json") or {}).get("added_tokens_decoder")
    for number, item in decoder.items() if isinstance(decoder, dict) else ():
        if number.isdecimal() and isinstance(item, dict):
            yield str(item.get("content")), int(number)


def _added_tokens(path: Path) -> dict[str, int]:
    """The `added_tokens` array of tokenizer.json, which stands before the vocabulary."""
    try:
        with (path / "tokenizer.json").open(encoding="utf-8") as file:
            head = file.read(_TOKENIZER_HEAD_BYTES)
        start = head.index("[", head.index('"added_tokens"'))
        tokens, _ = json.JSONDecoder().raw_decode(head, start)
        return {token["content"]: int(token["id"]) for token in tokens}
    except (OSError, KeyError, TypeError, ValueError):
        return {}

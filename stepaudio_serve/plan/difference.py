"""In which fields two plans differ, in the words a person changes them by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Difference = tuple[str, object, object]


def differences(running: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[Difference, ...]:
    """The differing fields of two plans' identities as (field, running, wanted); None where one has no such field.

    The command is compared flag by flag, mounts by where they appear, files by their name.
    """
    old, new = dict(_fields(running)), dict(_fields(wanted))
    return tuple(
        (field, old.get(field), new.get(field))
        for field in [*old, *(new.keys() - old.keys())]
        if old.get(field) != new.get(field)
    )


def _fields(identity: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in identity.items():
        if name == "command":
            yield from _flags(value)
        elif name == "mounts":
            for mount in (item for item in value if item["source"] != identity["files_source"]):
                yield f"mount {mount['target']}", f"{mount['source']}{' (read-only)' if mount['read_only'] else ''}"
        elif name == "files":
            yield from ((f"file {path}", digest) for path, digest in value.items())
        elif name != "files_source":
            yield from _leaves(name, value)


def _flags(words: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Each flag with its values; those of a flag that is given again are joined."""
    flag, found = "arguments", dict[str, list[str]](arguments=[])
    for word in words:
        if word.startswith("-"):
            flag = word
            found.setdefault(flag, [])
        else:
            found[flag].append(word)
    yield from ((flag, " ".join(values)) for flag, values in found.items())


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(f"{name}.{key}", below)
    elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        for item in value:
            yield from _leaves(name, item)
    else:
        yield name, json.loads(json.dumps(value))

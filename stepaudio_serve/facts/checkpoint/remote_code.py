"""The code that a checkpoint brings along and `trust_remote_code` lets the engine run."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from .checkpoint import CodeFile
from .json_file import object_or_empty, read_small

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONFIGS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
# Rather too much than too little: text that merely looks like an import counts, if there is such a file.
_RELATIVE_IMPORT = re.compile(
    r"\bfrom[\s\\]*(?P<dots>\.(?:[\s\\]*\.)*)[\s\\]*(?P<module>[\w.]*)[\s\\]*\bimport\b[\s\\]*(?P<names>\([^)]*\)|[^\n;#]*)"
)


def remote_code(folder: Path) -> tuple[CodeFile, ...]:
    """Every file that an `auto_map` names and, transitively, what those import relatively; in the order of names.

    A file of another repository (`repo--file.Class`) and one that is not there are listed without a hash.
    """
    named = set(_named(folder))
    found = {f"{repository}--{file}": CodeFile(file, "", repository) for repository, file in named if repository}
    waiting = [file for repository, file in named if not repository]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        source = _source(folder, name)
        found[name] = CodeFile(name, hashlib.sha256(source).hexdigest() if source is not None else "")
        waiting += [file for file in _imports(name, source or b"") if (folder / file).is_file()]
    return tuple(found[name] for name in sorted(found))


def _named(folder: Path) -> Iterator[tuple[str, str]]:
    """Repository (empty: this one) and file of everything in the `auto_map`s."""
    for config in _CONFIGS:
        mapped = object_or_empty(folder / config).get("auto_map")
        for value in mapped.values() if isinstance(mapped, dict) else ():
            for reference in value if isinstance(value, list) else [value]:
                if isinstance(reference, str) and reference:
                    repository, _, place = reference.rpartition("--")
                    name = place.partition(".")[0] + ".py"
                    yield _shown(repository), _shown(name)


def _shown(name: str) -> str:
    """A name that can be printed: a checkpoint may hold anything."""
    return name if name.isprintable() else ascii(name)


def _source(folder: Path, name: str) -> bytes | None:
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts:
        return None
    try:
        return read_small(folder / place)
    except (OSError, ValueError):
        return None


def _imports(name: str, source: bytes) -> Iterator[str]:
    """Files that a file's relative imports may mean, below the checkpoint folder."""
    for found in _RELATIVE_IMPORT.finditer(source.decode("utf-8", "replace")):
        levels = found["dots"].count(".")
        parents = PurePosixPath(name).parents
        if levels > len(parents):
            continue
        module = parents[levels - 1].joinpath(*filter(None, found["module"].split(".")))
        names = re.findall(r"\w+", found["names"])
        for place in (module, *(module / each for each in names)):
            if place.name:
                yield str(place.with_suffix(".py"))
            yield str(place / "__init__.py")

"""What vLLM's sandbox forbids a template, found without running it: a branch seldom taken is seen too."""

from __future__ import annotations

from typing import Final

from jinja2 import nodes
from jinja2.sandbox import modifies_known_mutable

from .environment import environment

_MUTABLES: Final[tuple[object, ...]] = ([], {}, set())


def forbidden(source: str) -> tuple[tuple[int, str], ...]:
    """Line and words of each access to Python's inner attributes and each call that changes a value in place.

    `ImmutableSandboxedEnvironment` raises `SecurityError` there.
    """
    tree = environment().parse(source)
    inner = [
        (node.lineno, f"{node.attr} is an inner attribute")
        for node in tree.find_all(nodes.Getattr)
        if node.attr.startswith("__")
    ]
    changes = [
        (call.lineno, f".{call.node.attr}() changes a value in place")
        for call in tree.find_all(nodes.Call)
        if isinstance(call.node, nodes.Getattr) and _changes(call.node.attr)
    ]
    return tuple(sorted(inner + changes))


def _changes(method: str) -> bool:
    return any(modifies_known_mutable(value, method) for value in _MUTABLES)

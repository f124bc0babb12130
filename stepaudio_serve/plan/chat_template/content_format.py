"""Which content format vLLM detects for a template, in the two generations that serve this model.

vLLM reads the template's syntax tree: where a loop runs over a message's content, content arrives as a list of
parts (`openai`), else as one `string`. What counts as such a loop differs:

* `stepfun`: the fork of August 2025, as vLLM 0.10.1 (`vllm/entrypoints/chat_utils.py`, `_detect_content_format`).
  Only a loop directly over `message["content"]`, `message` being the variable of a loop over `messages`.
* `upstream`: vLLM 0.32 (`vllm/renderers/hf.py`, same name). Also a loop inside a macro over a parameter that some
  call binds to `message["content"]`, and a loop over a variable called `content` outside every macro.

The official template loops in a macro: `string` in one, `openai` in the other.
Both look through filters, tests and slices, and neither knows scopes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from jinja2 import nodes

from .environment import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .source import ContentFormat

Generation = Literal["stepfun", "upstream"]
"""A generation of vLLM, by the name of the engine image that has it."""


class EndlessDetectionError(ValueError):
    """Variables assigned in a circle (`a = messages`, `messages = a`): vLLM would follow it for ever."""


class _GivesUpError(Exception):
    """An assignment or loop target that is not a plain name: vLLM gives up and takes `string`."""


@lru_cache(maxsize=32)
def detect(source: str, generation: Generation) -> ContentFormat:
    """The content format that vLLM chooses for this template.

    Raises:
        EndlessDetectionError: vLLM would never finish choosing.
        jinja2.TemplateSyntaxError: the template does not parse (vLLM then takes `string` and fails later).
    """
    tree = environment().parse(source)
    try:
        messages = _message_variables(tree)
        found = any(
            _name(loop.target)
            for loop in tree.find_all(nodes.For)
            if _reads_content(loop.iter, messages)
            or (generation == "upstream" and _reads_bound_content(loop, tree, messages))
        )
    except _GivesUpError:
        return "string"
    return "openai" if found else "string"


def _message_variables(tree: nodes.Template) -> frozenset[str]:
    """Variables of the loops over `messages`, or over what it was assigned to."""
    lists = frozenset(_aliases(tree, "messages"))
    return frozenset(_name(loop.target) for loop in tree.find_all(nodes.For) if _reads_variable(loop.iter, lists))


def _aliases(tree: nodes.Template, name: str, followed: tuple[str, ...] = ()) -> Iterator[str]:
    if name in followed:
        raise EndlessDetectionError(" = ".join((name, *reversed(followed))))
    yield name
    for assignment in tree.find_all(nodes.Assign):
        if _reads_variable(assignment.node, frozenset({name})):
            target = _name(assignment.target)
            if target != name:
                yield from _aliases(tree, target, (*followed, name))


def _reads_bound_content(loop: nodes.For, tree: nodes.Template, messages: frozenset[str]) -> bool:
    if not isinstance(loop.iter, nodes.Name):
        return False
    around = [
        macro for macro in tree.find_all(nodes.Macro) if any(inside is loop for inside in macro.find_all(nodes.For))
    ]
    if not around:
        return loop.iter.name == "content"
    return any(loop.iter.name in _content_parameters(macro, tree, messages) for macro in around)


def _content_parameters(macro: nodes.Macro, tree: nodes.Template, messages: frozenset[str]) -> frozenset[str]:
    """The macro's parameters that some call of it binds to a message's content."""
    parameters = [argument.name for argument in macro.args]
    calls = [
        call for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name) and call.node.name == macro.name
    ]
    bound = [pair for call in calls for pair in zip(parameters, call.args, strict=False)]
    bound += [(keyword.key, keyword.value) for call in calls for keyword in call.kwargs if keyword.key in parameters]
    return frozenset(parameter for parameter, value in bound if _reads_content(value, messages))


def _reads_variable(node: nodes.Node | None, names: frozenset[str]) -> bool:
    return _is_variable(_underneath(node), names)


def _reads_content(node: nodes.Node | None, messages: frozenset[str]) -> bool:
    node = _underneath(node)
    if isinstance(node, nodes.Getitem):
        key = node.arg.value if isinstance(node.arg, nodes.Const) else None
        return key == "content" and _is_variable(node.node, messages)
    return isinstance(node, nodes.Getattr) and node.attr == "content" and _is_variable(node.node, messages)


def _is_variable(node: nodes.Node | None, names: frozenset[str]) -> bool:
    return isinstance(node, nodes.Name) and node.ctx == "load" and node.name in names


def _underneath(node: nodes.Node | None) -> nodes.Node | None:
    while isinstance(node, (nodes.Filter, nodes.Test)) or (
        isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)
    ):
        node = node.node
    return node


def _name(target: nodes.Node) -> str:
    if not isinstance(target, nodes.Name):
        raise _GivesUpError
    return target.name

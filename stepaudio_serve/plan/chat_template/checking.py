"""Whether a chat template serves Step-Audio-R1 well: findings of the group `template`.

What is expected of a template is data, `expectations.yaml`; here it is tried out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from ...finding import Finding
from .conversation import AUDIO_MARK, read_conversation
from .rendering import render_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...finding import Level
    from .content_format import Generation
    from .source import ChatTemplate, ContentFormat

_GROUP: Final = "template"
_FIX: Final = "stepaudio-serve up --chat-template step-audio-r1"
_EXPECTATIONS: Final = Path(__file__).with_name("expectations.yaml")


@dataclass(frozen=True, slots=True)
class _Expectation:
    """One entry of `expectations.yaml`, which explains the fields."""

    id: str
    level: Level
    request: Mapping[str, Any]
    what: Mapping[str, str]
    why: str
    prompt: bool = True
    shows: Sequence[str] = ()
    marks: int | None = None
    never: Sequence[str] = ()
    ends: str = ""
    refused: bool = False
    alike: bool = False


def check(template: ChatTemplate) -> tuple[Finding, ...]:
    """Try the template out as both generations of vLLM would use it.

    A template that does not parse, or that vLLM cannot even look at, gets that one finding.
    """
    import jinja2

    from .content_format import EndlessDetectionError, Generation, detect

    name = template.name
    try:
        formats: dict[Generation, ContentFormat] = {
            generation: detect(template.source, generation) for generation in get_args(Generation)
        }
    except jinja2.TemplateSyntaxError as error:
        why = f"Line {error.lineno}: {error.message}"
        return (Finding("template-parses", _GROUP, "blocker", f"{name} does not parse", why, _FIX),)
    except EndlessDetectionError as error:
        what = f"vLLM never finishes reading {name}"
        why = f"It assigns variables in a circle ({error}), which vLLM follows for ever."
        fix = "Give the variables different names."
        return (Finding("template-parses", _GROUP, "blocker", what, why, fix),)
    return (
        Finding("template-parses", _GROUP, "ok", f"{name} parses"),
        _sandbox_finding(template),
        _format_finding(name, formats),
        *(_finding(template, expectation, formats) for expectation in _expectations()),
    )


def _expectations() -> Iterator[_Expectation]:
    import yaml

    for entry in yaml.safe_load(_EXPECTATIONS.read_text(encoding="utf-8")):
        yield _Expectation(**entry)


def _sandbox_finding(template: ChatTemplate) -> Finding:
    from .sandbox import forbidden

    if spots := [f"line {line}: {text}" for line, text in forbidden(template.source)]:
        what = f"{template.name} does what vLLM's sandbox forbids"
        why = f"Rendering fails at {'; '.join(spots)}."
        return Finding("template-sandbox", _GROUP, "blocker", what, why, _FIX)
    return Finding("template-sandbox", _GROUP, "ok", f"{template.name} stays inside the sandbox")


def _format_finding(name: str, formats: Mapping[Generation, ContentFormat]) -> Finding:
    seen = f"{formats['stepfun']} by the fork, {formats['upstream']} by vLLM 0.32"
    if formats == {"stepfun": "string", "upstream": "openai"}:
        return Finding("template-content-format", _GROUP, "ok", f"{name} is detected as {seen}")
    return Finding(
        "template-content-format",
        _GROUP,
        "warning",
        f"{name} is detected as {seen}; the official template as string and openai",
        "It decides whether vLLM joins a message's parts to one string or hands over a list, so text and audio "
        "may be put together differently than the model's authors do.",
        'Loop over content in a macro that is called with message["content"], and nowhere else.',
    )


def _finding(template: ChatTemplate, expectation: _Expectation, formats: Mapping[Generation, ContentFormat]) -> Finding:
    if problem := _problem(template.source, expectation, formats):
        what = f"{template.name} {expectation.what['otherwise']}"
        why = f"{expectation.why} {problem}"
        return Finding(expectation.id, _GROUP, expectation.level, what, why, _FIX)
    return Finding(expectation.id, _GROUP, "ok", f"{template.name} {expectation.what['ok']}")


def _problem(source: str, expectation: _Expectation, formats: Mapping[Generation, ContentFormat]) -> str | None:
    """What differs from the expectation, in words; `None` when nothing does."""
    import jinja2

    from .environment import TemplateRefusal

    prompts = []
    for generation, content_format in formats.items():
        given = read_conversation(expectation.request, content_format)
        try:
            prompt = render_input(source, given, add_generation_prompt=expectation.prompt)
        except jinja2.TemplateError as error:
            if expectation.refused and isinstance(error, TemplateRefusal):
                continue
            return f"It fails, with content as the engine image {generation} hands it over: {error}"
        if expectation.refused:
            return f"It renders {prompt!r}."
        if difference := _difference(prompt, expectation):
            return f"{difference}, with content as the engine image {generation} hands it over."
        prompts.append(prompt)
    if expectation.alike and len(set(prompts)) > 1:
        return f"{prompts[0]!r} is not {prompts[1]!r}."
    return None


def _difference(prompt: str, expectation: _Expectation) -> str | None:
    position = 0
    for text in expectation.shows:
        found = prompt.find(text, position)
        if found < 0:
            return f"{text!r} is missing"
        position = found + len(text)
    if expectation.marks is not None and prompt.count(AUDIO_MARK) != expectation.marks:
        return f"It contains {AUDIO_MARK} {prompt.count(AUDIO_MARK)} times instead of {expectation.marks}"
    for text in expectation.never:
        if text in prompt:
            return f"It contains {text!r}"
    if not prompt.endswith(expectation.ends):
        return f"It ends with {prompt[-len(expectation.ends) :]!r} instead of {expectation.ends!r}"
    return None

"""A conversation rendered through a chat template, as vLLM renders it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import SettingsError
from .conversation import read_conversation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .conversation import TemplateInput
    from .source import ChatTemplate, ContentFormat


def render(
    template: ChatTemplate,
    conversation: Mapping[str, Any],
    *,
    add_generation_prompt: bool = True,
    content_format: ContentFormat | None = None,
) -> str:
    """The prompt that the model sees for a chat completion request's `messages` and `tools`.

    Without `content_format`, content arrives as the default engine image detects it (`content_format.detect`,
    generation `stepfun`). Without a generation prompt the last assistant message is one to continue.
    A request's own `add_generation_prompt: false` counts as well.

    Raises:
        SettingsError: the template does not parse or fails, it refuses the conversation, or the conversation
            has a shape that vLLM refuses.
    """
    import jinja2

    from .content_format import EndlessDetectionError, detect

    try:
        content_format = content_format or detect(template.source, "stepfun")
        given = read_conversation(conversation, content_format)
        wanted = add_generation_prompt and conversation.get("add_generation_prompt") is not False
        if wanted and conversation.get("continue_final_message"):
            raise SettingsError(
                "continue_final_message: the last message is either continued or answered",
                why="vLLM refuses it together with a generation prompt, which is the default.",
                fix='Add "add_generation_prompt": false',
            )
        prompt = render_input(template.source, given, add_generation_prompt=wanted)
    except jinja2.TemplateSyntaxError as error:
        raise SettingsError(
            f"chat_template: {template.name!r} does not parse",
            why=f"Line {error.lineno}: {error.message}",
            fix=f"stepaudio-serve template check {template.name}",
        ) from error
    except EndlessDetectionError as error:
        raise SettingsError(
            f"chat_template: vLLM never finishes reading {template.name!r}",
            why=f"It assigns variables in a circle: {error}.",
            fix="Give the variables different names.",
        ) from error
    except jinja2.TemplateError as error:
        raise SettingsError(
            f"chat_template: {template.name!r} cannot render this conversation",
            why=str(error),
            fix=f"stepaudio-serve template check {template.name}",
        ) from error
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(
            "the conversation contains half of a surrogate pair",
            why=f"Character {error.start + 1} of the prompt is {prompt[error.start]!r}, which is no text.",
            fix="Write the character itself, or both halves of its escape.",
        ) from error
    return prompt


def render_input(source: str, given: TemplateInput, *, add_generation_prompt: bool) -> str:
    """Render what vLLM hands over.

    Raises:
        jinja2.TemplateError: it does not parse, leaves the sandbox, refuses (`TemplateRefusal`), or fails.
    """
    import jinja2

    from .environment import compiled

    try:
        return compiled(source).render(
            messages=given.messages,
            tools=given.tools,
            documents=None,
            add_generation_prompt=add_generation_prompt,
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise jinja2.TemplateRuntimeError(f"{type(error).__name__}: {error}") from error

"""A conversation of several turns, as a value: nothing here asks anybody anything.

The model keeps nothing between requests, so every request carries the whole conversation: all sounds again, and of
the answers their text without the thinking, as the model's template wants it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from .conversation import user_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answer import Answer
    from .conversation import Message
    from .recording import Recording

STOPPED = "stopped"
"""The finish reason of an answer that the user stopped."""

NEARLY_FULL = 0.8
"""The share of the context from which on the end of the conversation is in sight."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user said and gave to hear, and the answer, once there is one."""

    text: str
    recordings: tuple[Recording, ...] = ()
    answer: Answer | None = None

    def to_json(self) -> dict[str, Any]:
        """The turn in JSON output."""
        return {
            "text": self.text,
            "audio": [{"name": it.name, "seconds": round(it.seconds, 2)} for it in self.recordings],
            "answer": self.answer and _to_milliseconds(asdict(self.answer)),
        }


@dataclass(frozen=True, slots=True)
class Session:
    """The conversation so far; every turn but the last has its answer."""

    system: str = ""
    turns: tuple[Turn, ...] = ()


def asked(session: Session, turn: Turn) -> Session:
    """With one turn more."""
    return replace(session, turns=(*session.turns, turn))


def answered(session: Session, answer: Answer) -> Session:
    """With the answer to the last turn. Raises `IndexError` without one."""
    *before, last = session.turns
    return replace(session, turns=(*before, replace(last, answer=answer)))


def without_last(session: Session) -> Session:
    """With the last turn taken back."""
    return replace(session, turns=session.turns[:-1])


def messages(session: Session) -> list[Message]:
    """The conversation as a request carries it."""
    return list(_messages(session))


def seconds_of_audio(session: Session) -> float:
    """How much sound each request carries, in seconds."""
    return sum(recording.seconds for turn in session.turns for recording in turn.recordings)


def context_used(session: Session) -> int | None:
    """Tokens of the context that the next request begins with; None where the engine has not counted any.

    The engine counts an answer with its thinking, which is not sent again: of its tokens only the text's share
    counts, by characters.
    """
    answer = session.turns[-1].answer if session.turns else None
    usage = (answer and answer.usage) or {}
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if answer is None or not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    characters = len(answer.text) + len(answer.thinking)
    return prompt + (round(completion * len(answer.text) / characters) if characters else 0)


def as_markdown(session: Session) -> str:
    """The conversation for a person to read; the thinking is folded away."""
    return "\n\n".join(_paragraphs(session)) + "\n"


def to_json(session: Session) -> dict[str, Any]:
    """The conversation for a program to read; of sounds only names and lengths."""
    return {"system": session.system, "turns": [turn.to_json() for turn in session.turns]}


def _to_milliseconds(answer: dict[str, Any]) -> dict[str, Any]:
    first = answer["first_token_s"]
    rounded = None if first is None else round(first, 3)
    return {**answer, "seconds": round(answer["seconds"], 3), "first_token_s": rounded}


def _messages(session: Session) -> Iterator[Message]:
    if session.system:
        yield {"role": "system", "content": session.system}
    for turn in session.turns:
        yield user_message(turn.text, turn.recordings)
        if turn.answer is not None:
            yield {"role": "assistant", "content": turn.answer.text}


def _paragraphs(session: Session) -> Iterator[str]:
    if session.system:
        yield f"**System:** {session.system}"
    for turn in session.turns:
        yield "## Question"
        yield from (f"*{recording.name}, {recording.seconds:.1f} s*" for recording in turn.recordings)
        if turn.text:
            yield turn.text
        if turn.answer is None:
            continue
        yield "## Answer"
        if turn.answer.thinking:
            yield f"<details><summary>Thinking</summary>\n\n{turn.answer.thinking}\n\n</details>"
        yield turn.answer.text
        if turn.answer.finish_reason == STOPPED:
            yield "*(stopped here)*"

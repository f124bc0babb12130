"""A request turned into what the engine may have, or refused."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from ...audio.pcm import PIECE_SECONDS
from ..prepared import Prepared
from ..refusal import RefusedError, bad_request
from . import chat, completions, transcriptions
from .context import AUDIO_TOKENS_PER_SECOND, Prompt, allow, audio_tokens, text_bound
from .encoder import check_padding
from .json_body import parse_object
from .messages import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..config import GuardConfig, Limits
    from ..prepared import Clip, Decoder, EngineFacts
    from .chat import Chat
    from .threads import Threads

PATHS = (chat.PATH, completions.COMPLETIONS, completions.TOKENIZE, transcriptions.PATH)
"""The routes whose requests are prepared."""

_IN_A_THREAD = 1 << 21
"""Bytes from which reading and writing go to a thread: 2 MiB of JSON take some 4 ms, as may a hop."""

UNKNOWN_CONTEXT = 16384
"""Tokens, where the engine does not say how many its context holds: those of the model card's command."""

_NOTICE = b"x-stepaudio-notice"
_SHOWN = 8
"""Damaged parts that are named; servers and clients bound their headers."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Heard:
    """The clips of each audio part, by its place in the request."""

    parts: Mapping[str, Sequence[Clip]]

    @property
    def seconds(self) -> list[float]:
        return [clip.seconds for clips in self.parts.values() for clip in clips]

    @property
    def damage(self) -> list[str]:
        """What is said of each part that is not whole."""
        return [
            f"{param}: damaged, only the first {sum(clip.seconds for clip in clips):.1f} s could be read"
            for param, clips in self.parts.items()
            if any(clip.damaged for clip in clips)
        ]

    @property
    def size(self) -> int:
        return sum(len(clip.wav) for clips in self.parts.values() for clip in clips)


async def prepare(
    path: str,
    content_type: str,
    body: bytes,
    *,
    config: GuardConfig,
    decoder: Decoder,
    engine: EngineFacts,
    threads: Threads | None = None,
) -> Prepared:
    """What becomes of the request `body` to one of PATHS; large ones are read and written in `threads`, if any.

    Raises RefusedError.
    """
    size = len(body)
    if path == transcriptions.PATH:
        read: Callable[[], Any] = partial(transcriptions.read_transcription, content_type, body, config)
        return await _prepare_chat(await _off_loop(threads, size, read), config, decoder, engine, threads)
    _check_media_type(content_type)
    if path == chat.PATH:
        read = partial(_read_chat, body, config)
        return await _prepare_chat(await _off_loop(threads, size, read), config, decoder, engine, threads)
    if path == completions.COMPLETIONS:
        read = partial(_read_completion, body, config)
        return await _prepare_completion(await _off_loop(threads, size, read), config, engine)
    read = partial(_read_tokenization, body, config)
    return Prepared(path, _dump(await _off_loop(threads, size, read)))


def _read_chat(body: bytes, config: GuardConfig) -> Chat:
    return chat.read_chat(_parse(body, config.limits), config)


def _read_completion(body: bytes, config: GuardConfig) -> dict[str, Any]:
    return completions.read_completion(_parse(body, config.limits), config)


def _read_tokenization(body: bytes, config: GuardConfig) -> dict[str, Any]:
    return completions.read_tokenization(_parse(body, config.limits), config)


def _parse(body: bytes, limits: Limits) -> dict[str, Any]:
    return parse_object(body, text_characters=limits.text_characters)


async def _prepare_chat(
    asked: Chat, config: GuardConfig, decoder: Decoder, engine: EngineFacts, threads: Threads | None
) -> Prepared:
    heard = await _hear(asked, config.limits, decoder, engine)
    seconds = heard.seconds
    prompt = Prompt(
        text_bound=text_bound(chat.prompt_texts(asked.fields, asked.messages), len(asked.messages)),
        audio_tokens=audio_tokens(seconds),
        count_request=asked.text_request,
    )
    fields, notices = await _with_allowance(asked.fields, prompt, config.limits, engine)
    notices = _with_notice(notices, heard.damage)
    body = await _off_loop(threads, heard.size, partial(_write_chat, fields, asked, heard))
    transcript = asked.transcript and replace(asked.transcript, seconds=sum(seconds))
    return Prepared(chat.PATH, body, asked.stream, asked.thinking, notices, transcript)


async def _prepare_completion(fields: dict[str, Any], config: GuardConfig, engine: EngineFacts) -> Prepared:
    prompts = [fields["prompt"]] if isinstance(fields["prompt"], str) else fields["prompt"]
    longest = max(prompts, key=lambda text: len(text.encode()))
    counted: dict[str, Any] = {name: fields[name] for name in ("model", "add_special_tokens") if name in fields}
    prompt = Prompt(text_bound([longest], 0), 0, {**counted, "prompt": longest})
    fields, notices = await _with_allowance(fields, prompt, config.limits, engine)
    return Prepared(completions.COMPLETIONS, _dump(fields), bool(fields.get("stream", False)), "raw", notices)


async def _with_allowance(
    fields: Mapping[str, Any], prompt: Prompt, limits: Limits, engine: EngineFacts
) -> tuple[dict[str, Any], tuple[tuple[bytes, bytes], ...]]:
    """The fields with the tokens that the answer may have, under the name that the client used."""
    kept = {name: value for name, value in fields.items() if name not in {"max_tokens", "max_completion_tokens"}}
    name = "max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"
    allowance = await allow(fields.get(name), limits.tokens, prompt, engine)
    if allowance.tokens is not None:
        kept[name] = allowance.tokens
    return kept, allowance.notices


def _with_notice(notices: tuple[tuple[bytes, bytes], ...], said: Sequence[str]) -> tuple[tuple[bytes, bytes], ...]:
    """The headers with `said` in the one that is for people, as far as it fits."""
    if not said:
        return notices
    shown, more = list(said[:_SHOWN]), len(said) - _SHOWN
    if more > 0:
        shown.append(f"and {more} more")
    words = [value for name, value in notices if name == _NOTICE] + [text.encode("ascii", "replace") for text in shown]
    return (*(header for header in notices if header[0] != _NOTICE), (_NOTICE, b"; ".join(words)))


async def _hear(asked: Chat, limits: Limits, decoder: Decoder, engine: EngineFacts) -> _Heard:
    """Decode the audio of a conversation, within what one request may hold."""
    audio = asked.audio
    if not audio:
        return _Heard({})
    if len(audio) > limits.audio_parts:
        raise _too_many_clips(len(audio), limits.audio_parts, audio[limits.audio_parts].param)
    most = await _audio_seconds(limits, engine)
    parts: dict[str, Sequence[Clip]] = {}
    seconds, count = 0.0, 0
    for part in audio:
        if seconds >= most:
            raise _no_seconds_left(most, part.param)
        places = limits.audio_parts - count
        left = min(most - seconds, places * PIECE_SECONDS)
        try:
            clips = await decoder(part.data, part.param, left)
        except RefusedError as refused:
            if refused.refusal.code == "audio_too_long" and left < most - seconds:
                raise _too_many_clips(limits.audio_parts + 1, limits.audio_parts, part.param) from None
            raise
        seconds += sum(clip.seconds for clip in clips)
        count += len(clips)
        if count > limits.audio_parts:
            raise _too_many_clips(count, limits.audio_parts, part.param)
        parts[part.param] = clips
    heard = _Heard(parts)
    check_padding(heard.seconds)
    return heard


async def _audio_seconds(limits: Limits, engine: EngineFacts) -> float:
    if limits.audio_seconds is not None:
        return limits.audio_seconds
    context = await engine.max_model_len()
    return (context or UNKNOWN_CONTEXT) / AUDIO_TOKENS_PER_SECOND


def _write_chat(fields: Mapping[str, Any], asked: Chat, heard: _Heard) -> bytes:
    """The request with a mark for each clip, written; then the clips, megabytes of it, put in place of the marks."""
    mark = secrets.token_hex(16)
    marked = {"type": "input_audio", "input_audio": {"data": mark, "format": "wav"}}
    clips = {param: [marked] * len(clips) for param, clips in heard.parts.items()}
    body = _dump({**fields, "messages": [as_json(message, clips) for message in asked.messages]})
    first, *rest = body.split(mark.encode())
    encoded = (base64.b64encode(clip.wav) for clips in heard.parts.values() for clip in clips)
    return b"".join([first, *chain.from_iterable(zip(encoded, rest, strict=True))])


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, allow_nan=False).encode("ascii")


def _check_media_type(content_type: str) -> None:
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise bad_request(
            "unsupported_media_type",
            "This route takes JSON; send the header 'Content-Type: application/json'.",
            "content-type",
            status=415,
        )


def _no_seconds_left(most: float, param: str) -> Exception:
    return bad_request(
        "audio_too_long",
        f"{param}: the parts before it are {most:.0f} s of audio already, and that is what one request may hold. Send "
        "less, or in several requests.",
        param,
    )


def _too_many_clips(count: int, most: int, param: str) -> Exception:
    return bad_request(
        "too_many_clips",
        f"The request holds at least {count} clips of audio, counted in pieces of 25 s at most; this server takes "
        f"{most} in one request. Send fewer, or in several requests.",
        param,
    )


async def _off_loop(threads: Threads | None, size: int, work: Callable[[], _Result]) -> _Result:
    """Do what takes time in proportion to `size` bytes, in a thread where they are many."""
    return work() if threads is None or size <= _IN_A_THREAD else await threads.run(size, work)

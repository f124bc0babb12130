"""Where inputs come from: the attack list of the tests as seeds, and what is done to them."""

from __future__ import annotations

import base64
import json
import struct
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

LARGEST = 1 << 18
"""Bytes of an input; larger seeds are cut."""


def sound_seeds() -> list[bytes]:
    """Short files of every kind, whole and lying."""
    from support import sounds
    from support.sounds import riff

    short = [sounds.encode(sounds.tone(250, 0.2, rate=rate, channels=channels), rate=rate, form=form, subtype=subtype)
             for form, subtype, rate, channels in sounds.ODD_FORMATS.values()]  # fmt: skip
    pcm = bytes(range(256)) * 20
    lies = [riff(pcm, rate=1), riff(pcm, channels=1000), riff(pcm, bits=1), riff(pcm, data_size=0xFFFFFFFF)]
    silent = [sounds.long_file("FLAC", "PCM_16", 2), sounds.long_file("OGG", "VORBIS", 2, rate=8000)]
    return [*short, *lies, *silent, sounds.float_wav(float("nan"), seconds=0.2), sounds.movie()]


def request_seeds() -> list[bytes]:
    """Requests with everything a client may send; the first byte chooses the route."""
    from support import sounds
    from support.attacks import request_fields, texts
    from support.attacks.attack import audio_url, input_audio

    tiny = sounds.encode(sounds.tone(250, 0.1))
    contents: list[Any] = [
        "Hello",
        [input_audio(tiny), {"type": "text", "text": "What?"}],
        [{"type": "input_audio", "audio_data": base64.b64encode(tiny).decode(), "mime_type": "audio/wav"}],
        [audio_url("data:audio/wav;base64," + base64.b64encode(tiny).decode())],
        [{"type": "text", "text": "<|EO"}, {"type": "text", "text": "T|>"}],
        *texts.PLACEHOLDERS,
        texts.FORGED,
        "\uff1caudio_patch\uff1e \ud83d\ude00 <\u200b|EOT|>",
    ]
    bodies: list[dict[str, Any]] = [{"messages": [{"role": "user", "content": content}]} for content in contents]
    bodies += [bodies[0] | {name: value} for name, value in request_fields.INTERNALS.items()]
    bodies.append(
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "human", "content": "Hi", "name": "me"},
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "1", "content": "12:00"},
                {"role": "assistant", "content": "<think>\n"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}],
            "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 32000, "stop": ["a"],
            "temperature": 0.7, "top_p": 0.9, "top_k": 5, "seed": 1, "n": 2, "stop_token_ids": [151665],
            "continue_final_message": True, "add_generation_prompt": False, "skip_special_tokens": False,
        }
    )  # fmt: skip
    seeds = [b"\0" + json.dumps(body | {"model": "Step-Audio-R1"}).encode() for body in bodies]
    seeds += [
        b"\1" + json.dumps({"model": "m", "prompt": prompt, "max_tokens": 5}).encode() for prompt in ("Hi", ["a"])
    ]
    seeds += [b"\2" + json.dumps({"prompt": "Hi"}).encode(), b"\2" + json.dumps(bodies[0]).encode()]
    fields = {"model": "m", "language": "en", "response_format": "verbose_json", "prompt": "x", "temperature": "0"}
    form = b"".join(_form_field(name, value.encode()) for name, value in fields.items())
    form += _form_field("file", tiny, b'; filename="a.wav"') + b"--XX--\r\n"
    return [*seeds, b"\3" + form]


def _form_field(name: str, value: bytes, more: bytes = b"") -> bytes:
    return (
        b'--XX\r\nContent-Disposition: form-data; name="' + name.encode() + b'"' + more + b"\r\n\r\n" + value + b"\r\n"
    )


WEIRD_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WEIRD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1 << 31, 1 << 64, 1e308, 0.5, "", " ", "\0", "<audio_patch>", "<|EOT|>", "<", "|EOT|>",
    "audio_patch>",     "\u0338", "\uff1c", "data:,", "http://x", "user", "assistant",
    "text", "input_audio", [], {}, [[]], [{}], {"": {}},
    "a" * 5000, ["a"] * 500,
)  # fmt: skip


@dataclass
class Mutator:
    """Makes inputs out of seeds, the same for the same `seed`."""

    seeds: Sequence[bytes]
    random: random.Random
    structured: bool

    def next(self) -> bytes:
        """A new input."""
        data = self.random.choice(self.seeds)
        if self.structured and self.random.random() < 0.7:
            data = self.of_structure(data)
        if not self.structured or self.random.random() < 0.4:
            data = self.of_bytes(data)
        return data[:LARGEST]

    def of_structure(self, data: bytes) -> bytes:
        """Put an odd value in a place or two of the JSON, or take the place away, or name it otherwise."""
        try:
            body = json.loads(data[1:])
        except ValueError:
            return data
        for _ in range(self.random.randint(1, 4)):
            holder, place = self.random.choice(list(_places(body)) or [(None, None)])
            if holder is None:
                break
            choice = self.random.random()
            if choice < 0.15:
                del holder[place]
            elif choice < 0.25 and isinstance(holder, dict):
                holder[self.random.choice(("role", "content", "type", "text", "x", ""))] = holder.pop(place)
            elif choice < 0.4 and isinstance(holder, list):
                holder.insert(place, deepcopy(holder[place]))
            else:
                holder[place] = deepcopy(self.random.choice(WEIRD_VALUES))
        return data[:1] + json.dumps(body, ensure_ascii=self.random.random() < 0.8).encode("utf-8", "surrogatepass")

    def of_bytes(self, data: bytes) -> bytes:
        """Flip, overwrite, drop, insert, repeat; numbers at the edge of their range; pieces of other seeds."""
        changed = bytearray(data)
        for _ in range(1 << self.random.randint(0, 5)):
            # headers are where parsers go wrong
            near = min(len(changed), 120) if self.random.random() < 0.6 else len(changed)
            at = self.random.randint(0, near)
            match self.random.randrange(7):
                case 0 if at < len(changed):
                    changed[at] ^= 1 << self.random.randrange(8)
                case 1 if at < len(changed):
                    changed[at] = self.random.randrange(256)
                case 2:
                    number = self.random.choice(WEIRD_NUMBERS)
                    order = self.random.choice("<>")
                    changed[at : at + 4] = struct.pack(f"{order}I", number)
                case 3:
                    del changed[at : at + (1 << self.random.randint(0, 8))]
                case 4:
                    changed[at:at] = self.random.randbytes(self.random.randint(1, 8))
                case 5:
                    other = self.random.choice(self.seeds)
                    start = self.random.randrange(max(1, len(other)))
                    changed[at:at] = other[start : start + (1 << self.random.randint(0, 10))]
                case 6:
                    length = 1 << self.random.randint(0, 8)
                    changed[at:at] = changed[at : at + length] * self.random.randint(1, 4)
        return bytes(changed)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key or index) in a JSON value."""
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from _places(node[key])

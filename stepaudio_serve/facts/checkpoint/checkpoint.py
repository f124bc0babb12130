"""What is known of a checkpoint, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STOP_TOKENS = ("<|endoftext|>", "<|im_end|>", "<|EOT|>")
# Generation stops at these for R1 (facts of the authors' clients); used only while no tokenizer is at hand.
R1_STOP_IDS = {"<|endoftext|>": 151643, "<|im_end|>": 151645, "<|EOT|>": 151665}


SPECIAL_TOKENS = ("<|BOT|>", "<|EOT|>", "<audio_patch>", "<audio_start>", "<audio_end>", "<think>", "</think>")
"""What the chat template and the thinking are written with; each must be a single token to work as meant."""


@dataclass(frozen=True, slots=True)
class TextShape:
    """What the KV cache depends on, and what tensor parallelism has to divide."""

    layers: int
    kv_heads: int
    head_dim: int
    heads: int
    max_positions: int

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of KV cache a token takes in a 16-bit cache: layers x KV heads x head size x 2 (K, V) x 2 bytes."""
        return self.layers * self.kv_heads * self.head_dim * 2 * 2


@dataclass(frozen=True, slots=True)
class AudioShape:
    """The audio encoder: `positions` frames after its convolutions, which bound the length of one clip.

    `adaptor_kernel` and `adaptor_stride` are the convolution's between encoder and language model; None without one.
    """

    mel_bins: int
    positions: int
    state: int
    heads: int
    layers: int
    adaptor_kernel: int | None = None
    adaptor_stride: int | None = None


QuantizationKind = Literal["none", "nvfp4", "nvfp4a16", "other"]


@dataclass(frozen=True, slots=True)
class Quantization:
    """How the linear layers are stored.

    `kind` is what hardware rules go by; `method` and `format` are config.json's own words; `ignored` its list of
    modules left in high precision, `high_precision` the kinds of modules that the headers show to be so.
    """

    kind: QuantizationKind = "none"
    method: str = ""
    format: str = ""
    group_size: int | None = None
    ignored: tuple[str, ...] = ()
    high_precision: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Weights:
    """True sizes in bytes, from the headers of the safetensors files.

    `split` is what tensor parallelism divides among the GPUs (the text model's matrices), `whole` what every GPU
    holds (audio encoder, adaptor, norms).
    """

    split: int
    whole: int
    by_dtype: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of it."""
        return self.split + self.whole

    def on_each(self, tensor_parallel: int) -> float:
        """Bytes that each of so many GPUs holds."""
        return self.split / tensor_parallel + self.whole


FaultKind = Literal["missing", "truncated", "damaged", "lfs-pointer", "unfinished", "dangling", "unreadable", "extra"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one file.

    Only `extra` (a shard that the index does not name) lets the engine start. `unfinished` is a download's leftover;
    beside a checkpoint that lacks nothing such leftovers are no fault and are not listed. `unreadable` is what this
    user may not read; the file `.` is then the folder itself.
    """

    kind: FaultKind
    file: str
    detail: str = ""

    @property
    def is_fatal(self) -> bool:
        """Whether the engine cannot load the checkpoint because of it."""
        return self.kind != "extra"


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A file that trust_remote_code lets the engine run, with the SHA-256 of its bytes in hex.

    `repository` names the other repository from which the engine would fetch it, and is empty for a file of the
    checkpoint. The hash is empty for what is not in the folder: a file of another repository, or one that is missing.
    """

    name: str
    sha256: str
    repository: str = ""

    @property
    def can_be_pinned(self) -> bool:
        """Whether what will run is known now."""
        return bool(self.sha256)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was found. `problem` says why the folder cannot be served, or is empty.

    `mount_source` is the folder to mount and `inside` the checkpoint's path below it: a snapshot of the Hub's
    cache consists of links to a sibling folder, so that the whole repository folder must be mounted. `published`
    says that shapes and sizes are the published ones of a well-known repository that is not on this disk.
    """

    requested: str
    path: Path
    mount_source: Path
    inside: str
    exists: bool
    problem: str = ""
    is_repository: bool = False
    architectures: tuple[str, ...] = ()
    text: TextShape | None = None
    audio: AudioShape | None = None
    quantization: Quantization = Quantization()
    weights: Weights | None = None
    faults: tuple[Fault, ...] = ()
    stop_ids: tuple[tuple[str, int], ...] = ()
    special_ids: tuple[tuple[str, int], ...] = ()
    generation_config: Mapping[str, Any] | None = None
    has_remote_code: bool = False
    code: tuple[CodeFile, ...] = ()
    published: bool = False

    @property
    def weights_bytes(self) -> int:
        """Bytes of all weights; 0 where none were found."""
        return self.weights.total if self.weights else 0

    @property
    def reasoning_parser(self) -> str | None:
        """The engine's parser that this tokenizer can drive, or None.

        `deepseek_r1` needs both thinking marks as single tokens and `step3` the closing one. A parser whose mark is
        missing fails every request, not the start (read in the engine's code).
        """
        marks = dict(self.special_ids)
        if "</think>" not in marks:
            return None
        return "deepseek_r1" if "<think>" in marks else "step3"

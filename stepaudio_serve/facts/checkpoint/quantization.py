"""How the linear layers are stored: config.json's words, and what the headers show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checkpoint import Quantization
from .modules import module_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .checkpoint import QuantizationKind
    from .safetensors import Tensor

_NVFP4 = "nvfp4-pack-quantized"
_HIGH_PRECISION = {"BF16", "F16", "F32"}


def quantization(config: Mapping[str, Any], tensors: Iterable[Tensor]) -> Quantization:
    """What `quantization_config` says (compressed-tensors, ModelOpt, others by their words), and the headers show."""
    section = _section(config)
    if not section:
        return Quantization()
    ignored = section.get("ignore")
    return Quantization(
        kind=_kind(section),
        method=str(section.get("quant_method") or ""),
        format=str(section.get("format") or section.get("quant_algo") or ""),
        group_size=_group_size(section),
        ignored=tuple(map(str, ignored)) if isinstance(ignored, list) else (),
        high_precision=high_precision(tensors),
    )


def high_precision(tensors: Iterable[Tensor]) -> tuple[str, ...]:
    """The kinds of modules whose weights are stored in 16 or 32 bits."""
    found = {
        module_kind(tensor.name)
        for tensor in tensors
        if tensor.dtype in _HIGH_PRECISION and tensor.name.endswith(".weight")
    }
    return tuple(sorted(found))


def _section(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section where the engine looks for it: at the top, under its old name, or with the text model's shape."""
    text = config.get("text_config")
    places = (config, text if isinstance(text, dict) else {})
    sections = (place.get(name) for place in places for name in ("quantization_config", "compression_config"))
    return next((section for section in sections if isinstance(section, dict) and section), {})


def _kind(section: Mapping[str, Any]) -> QuantizationKind:
    method = section.get("quant_method")
    if method == "modelopt":
        return "nvfp4" if section.get("quant_algo") == "NVFP4" else "other"
    groups = _groups(section)
    formats = {str(group.get("format") or section.get("format")) for group in groups}
    if method != "compressed-tensors" or formats != {_NVFP4}:
        return "other"
    with_activations = {group.get("input_activations") is not None for group in groups}
    if len(with_activations) > 1:
        return "other"
    return "nvfp4" if with_activations == {True} else "nvfp4a16"


def _group_size(section: Mapping[str, Any]) -> int | None:
    """The group size, where all groups of layers have the same."""
    weights = [group["weights"] for group in _groups(section) if isinstance(group.get("weights"), dict)]
    sizes = {value.get("group_size") for value in (weights or [section])}
    size = sizes.pop() if len(sizes) == 1 else None
    return size if isinstance(size, int) else None


def _groups(section: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups = section.get("config_groups")
    return [group for group in groups.values() if isinstance(group, dict)] if isinstance(groups, dict) else []

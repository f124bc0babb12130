"""The entry point: vLLM calls `register` once in every process of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .release import (
    ARCHITECTURE,
    MODEL_TYPE,
    PLUGIN_VERSION,
    REASONING_PARSER,
    TOOL_CALL_PARSER,
    is_supported,
    refusal,
)

if TYPE_CHECKING:
    import logging


def register() -> None:
    """Make the model, its config and its parsers known to vLLM, by name: nothing is imported before it is used.

    In a vLLM that the plugin is not made for only the config is registered, one that refuses with words: the engine
    serves other models as before.
    """
    from transformers import AutoConfig
    from vllm import __version__ as version
    from vllm.logger import init_logger

    logger = init_logger("vllm.step_audio_plugin")
    if not is_supported(version):
        from .refused import refused_config

        logger.error("%s", refusal(version))
        AutoConfig.register(MODEL_TYPE, refused_config(refusal(version)), exist_ok=True)
        return
    _register_model(logger, version)
    _register_parsers()


def _register_model(logger: logging.Logger, version: str) -> None:
    from transformers import AutoConfig
    from vllm import ModelRegistry

    from .config import StepAudio2Config

    AutoConfig.register(MODEL_TYPE, StepAudio2Config, exist_ok=True)
    ModelRegistry.register_model(ARCHITECTURE, f"{__package__}.model:{ARCHITECTURE}")
    logger.info("Step-Audio plugin %s for vLLM %s: %s is registered", PLUGIN_VERSION, version, ARCHITECTURE)


def _register_parsers() -> None:
    from vllm.reasoning import ReasoningParserManager
    from vllm.tool_parsers import ToolParserManager

    parsing = f"{__package__}.parsing"
    ReasoningParserManager.register_lazy_module(
        REASONING_PARSER, f"{parsing}.reasoning_parser", "StepAudioReasoningParser"
    )
    ToolParserManager.register_lazy_module(TOOL_CALL_PARSER, f"{parsing}.tool_parser", "StepAudio2ToolParser")

"""The entry point: vLLM calls `register` once in every process of an engine."""

from __future__ import annotations

import logging
import sys
from typing import Literal

from .release import (
    ARCHITECTURE,
    MODEL_TYPE,
    PLUGIN_VERSION,
    REASONING_PARSER,
    TOOL_CALL_PARSER,
    is_supported,
    refusal,
)


def register() -> None:
    """Make the model, its config and its parsers known to vLLM, by name: nothing is imported before it is used.

    In a vLLM that the plugin is not made for only the config is registered, one that refuses with words: the engine
    serves other models as before. One that knows the model by itself, as StepFun's fork does, is left alone.
    """
    from vllm import ModelRegistry
    from vllm import __version__ as version

    if is_supported(version):
        _register_model(version)
        _register_parsers()
    elif ARCHITECTURE not in ModelRegistry.get_supported_archs():
        _refuse(refusal(version))


def _register_model(version: str) -> None:
    from transformers import AutoConfig
    from vllm import ModelRegistry

    from .config import StepAudio2Config

    AutoConfig.register(MODEL_TYPE, StepAudio2Config, exist_ok=True)
    ModelRegistry.register_model(ARCHITECTURE, f"{__package__}.model:{ARCHITECTURE}")
    _say("INFO", f"Step-Audio plugin {PLUGIN_VERSION} for vLLM {version}: {ARCHITECTURE} is registered")


def _refuse(words: str) -> None:
    from transformers import AutoConfig

    from .refused import refused_config

    _say("ERROR", words)
    AutoConfig.register(MODEL_TYPE, refused_config(words), exist_ok=True)


def _say(level: Literal["INFO", "ERROR"], words: str) -> None:
    """Into vLLM's log; where vLLM has not set up its log yet, as in the API server, to stderr."""
    from vllm.logger import init_logger

    logger = init_logger("vllm.step_audio_plugin")
    if logger.hasHandlers():
        logger.log(logging.getLevelName(level), words)
    else:
        sys.stderr.write(f"{level} {words}\n")


def _register_parsers() -> None:
    from vllm.reasoning import ReasoningParserManager
    from vllm.tool_parsers import ToolParserManager

    parsing = f"{__package__}.parsing"
    ReasoningParserManager.register_lazy_module(
        REASONING_PARSER, f"{parsing}.reasoning_parser", "StepAudioReasoningParser"
    )
    ToolParserManager.register_lazy_module(TOOL_CALL_PARSER, f"{parsing}.tool_parser", "StepAudio2ToolParser")

"""The model card's own command as a plan: the baseline to compare with, warts and all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..settings.engine_images import chosen_image
from .plan import Container, GpuRequest, Mount, Note, Plan, Port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..facts.gather import Facts
    from ..settings.options import Settings
    from .memory import MemoryBudget

CARD_PORT = 9999
TARGET = "/Step-Audio-R1"
FIXED: Mapping[str, tuple[object, ...]] = {
    "engine": ("vllm",),
    "engine_image": ("stepfun",),
    "runtime": ("docker",),
    "host": ("0.0.0.0",),  # noqa: S104 - the card publishes so
    "guard": (False,),
    "api_key": (None,),
    "api_key_file": (None,),
    "log_requests": (True,),
    "trust_remote_code": ("auto", "on"),
    "restart": ("no",),
    "cache": ("stepaudio-serve-cache",),
    "max_num_batched_tokens": ("auto",),
    "gpu_memory_utilization": (0.90,),
    "tensor_parallel_size": ("auto", 1),
}
"""The settings that the card's command decides, and what they may be: what it does, or nothing said."""


def unhonoured(settings: Settings) -> tuple[str, ...]:
    """The names of the settings that ask for what the card's command does not have."""
    return tuple(name for name, allowed in FIXED.items() if getattr(settings, name) not in allowed)


def model_card_plan(settings: Settings, facts: Facts, *, max_model_len: int, memory: MemoryBudget) -> Plan:
    """Argument for argument what the card says; only the folder, the names, sizes and the host port follow settings."""
    return Plan(
        name=settings.name,
        engine="vllm",
        runtime="docker",
        image=settings.image or chosen_image(settings).image,
        entrypoint=(),
        command=(
            *("vllm", "serve", f"{TARGET}/{facts.checkpoint.inside}".rstrip("/")),
            *("--served-model-name", settings.served_model_name),
            *("--port", str(CARD_PORT)),
            *("--max-model-len", str(max_model_len)),
            *("--max-num-seqs", str(settings.max_num_seqs)),
            *("--chat-template", facts.chat_template),
            *("--enable-log-requests", "--interleave-mm-strings", "--trust-remote-code"),
            *settings.engine_args,
        ),
        mounts=(Mount(str(facts.checkpoint.mount_source), TARGET, read_only=False),),
        environment={},
        ports=(Port("", settings.port, CARD_PORT),),
        gpus=GpuRequest("none" if settings.gpus == "none" else "nvidia", settings.gpu_ids),
        container=Container(
            health_check=None,
            restart="no",
            cap_drop=(),
            cap_add=(),
            security_opt=(),
            shm_size_mib=None,
            log_driver=None,
            log_options={},
            interactive=True,
            auto_remove=True,
        ),
        endpoint=f"http://127.0.0.1:{settings.port}",
        served_model_name=settings.served_model_name,
        stop_grace=settings.stop_grace,
        files_source="",
        files={},
        key_file=None,
        memory=memory,
        notes=(
            Note(
                "model-card",
                "this is the model card's command, unchanged, for comparison",
                "it publishes the port on every interface without a key, and a clip of 30 seconds ends the engine",
            ),
        ),
    )

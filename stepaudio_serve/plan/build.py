"""Settings and facts in, a plan out. Nothing is looked at or touched here."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..settings.engine_images import chosen_image
from ..settings.options import CHAT_TEMPLATES
from .command import GENERATION_CONFIG_FOLDER, GUARD_PACKAGE, TEMPLATE_FILE, Paths, serve_arguments
from .generation_config import generation_config
from .guard import guard_environment
from .model_card import model_card_plan
from .nearest import nearest_that_fits
from .notes import notes_for
from .plan import Container, GpuRequest, HealthCheck, Mount, Plan, Port, bracketed
from .plugin import brings_plugin, plugin_environment
from .sizing import choose_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..facts.gather import Facts
    from ..settings.options import Settings
    from .memory import MemoryBudget
    from .sizing import Sizes

CONTAINER_PORT = 9999
CHECKPOINT_TARGET = "/Step-Audio-R1"
FILES_TARGET = "/opt/stepaudio"
KEY_TARGET = "/run/stepaudio/api_key"
CACHE_TARGET = "/root/.cache"
FILES_FOLDERS = {"docker": "deployments", "process": "process-files"}
SHM_MIB = 1024
"""Shared memory; vLLM's processes pass multimodal inputs through it, and Docker's 64 MiB are too few."""
SHM_TENSOR_PARALLEL_MIB = 8192
"""The same for several GPUs: NCCL and the workers share theirs. vLLM's docs say `--ipc=host` or enough `--shm-size`."""


def make_plan(settings: Settings, facts: Facts) -> Plan:
    """The plan for these settings on this machine. Pure; it never raises for a setting that passed validation."""
    sizes = choose_sizes(settings, facts.checkpoint, facts.gpus)
    memory = _memory(settings, facts, sizes)
    if settings.recipe == "model-card":
        card = model_card_plan(settings, facts, max_model_len=sizes.max_model_len, memory=memory)
        return card.labelled(_portable(settings, facts))
    in_container = settings.runtime == "docker"
    known = chosen_image(settings)
    files = _files(settings, facts)
    state = facts.folders.state / FILES_FOLDERS[settings.runtime] / settings.name
    files_source = str(state / _digest(files))
    key_file = _key_file(settings, str(state / "api_key"))
    model = f"{CHECKPOINT_TARGET}/{facts.checkpoint.inside}".rstrip("/")
    paths = Paths(model, FILES_TARGET) if in_container else Paths(str(facts.checkpoint.path), files_source)
    command = serve_arguments(
        settings,
        paths,
        port=CONTAINER_PORT if in_container else settings.port,
        host=None if in_container else settings.host,
        sizes=sizes,
    )
    wants_gpu = settings.engine == "vllm" and settings.gpus != "none"
    gpus = _gpu_request(settings, facts) if wants_gpu else GpuRequest("none")
    plan = Plan(
        name=settings.name,
        engine=settings.engine,
        runtime=settings.runtime,
        image=(settings.image or known.image) if in_container else "",
        entrypoint=known.entrypoint if in_container else _process_entrypoint(settings),
        command=command,
        mounts=_mounts(settings, facts, files_source, key_file) if in_container else (),
        environment=_environment(settings, facts, paths.files, key_file),
        ports=(Port(settings.host, settings.port, CONTAINER_PORT if in_container else settings.port),),
        gpus=gpus,
        container=_container(settings, facts, sizes.tensor_parallel_size),
        endpoint=endpoint_of(settings.host, settings.port),
        served_model_name=settings.served_model_name,
        stop_grace=settings.stop_grace,
        files_source=files_source,
        files=files,
        key_file=key_file,
        memory=memory,
        notes=notes_for(settings, facts, gpus=gpus, sizes=sizes, command=command),
    )
    return plan.labelled(_portable(settings, facts))


def _portable(settings: Settings, facts: Facts) -> dict[str, Any]:
    """The settings for a restart from any folder: relative paths made absolute."""
    kept = settings.to_label()
    if "model" in kept and not facts.checkpoint.is_repository:
        kept["model"] = str(facts.checkpoint.path)
    if settings.chat_template not in CHAT_TEMPLATES and facts.chat_template_path:
        kept["chat_template"] = str(facts.chat_template_path)
    return kept


def endpoint_of(host: str, port: int) -> str:
    """The address to call from this machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - mapped, not bound
    return f"http://{bracketed(reachable)}:{port}"


def _files(settings: Settings, facts: Facts) -> dict[str, str]:
    files = {
        TEMPLATE_FILE: facts.chat_template,
        f"{GENERATION_CONFIG_FOLDER}/generation_config.json": generation_config(facts.checkpoint),
    }
    if settings.guard:
        files |= {f"{GUARD_PACKAGE}/{name}": text for name, text in facts.guard_files.items()}
    if brings_plugin(settings):
        files |= facts.plugin_files
    return files


def _digest(files: Mapping[str, str]) -> str:
    joined = "\0".join(f"{path}\0{files[path]}" for path in sorted(files))
    return hashlib.sha256(joined.encode()).hexdigest()[:12]


def _key_file(settings: Settings, own: str) -> str | None:
    if settings.api_key_file is not None:
        return str(settings.api_key_file)
    return own if settings.api_key is not None else None


def _memory(settings: Settings, facts: Facts, sizes: Sizes) -> MemoryBudget:
    """The estimate, with the nearest settings that fit where these do not."""
    if sizes.memory.fits is not False:
        return sizes.memory
    return replace(sizes.memory, nearest=nearest_that_fits(settings, facts.checkpoint, facts.gpus))


def _gpu_request(settings: Settings, facts: Facts) -> GpuRequest:
    engine = facts.engine
    if engine is not None and "nvidia" not in engine.runtimes and (engine.cdi_nvidia or engine.is_podman):
        return GpuRequest("cdi", settings.gpu_ids)
    return GpuRequest("nvidia", settings.gpu_ids)


def _process_entrypoint(settings: Settings) -> tuple[str, ...]:
    return ("vllm",) if settings.engine == "vllm" else (sys.executable, "-m", "stepaudio_serve.rehearsal")


def _mounts(settings: Settings, facts: Facts, files_source: str, key_file: str | None) -> tuple[Mount, ...]:
    mounts = [Mount(files_source, FILES_TARGET, read_only=True)]
    if settings.engine == "vllm" or facts.checkpoint.exists:
        mounts.insert(0, Mount(str(facts.checkpoint.mount_source), CHECKPOINT_TARGET, read_only=True))
    if key_file is not None:
        mounts.append(Mount(key_file, KEY_TARGET, read_only=True))
    if settings.engine == "vllm":
        mounts.append(Mount(settings.cache, CACHE_TARGET, read_only=False, kind="volume"))
    return tuple(mounts)


def _environment(settings: Settings, facts: Facts, files: str, key_file: str | None) -> dict[str, str]:
    """Variables of the engine: where guard and plugin are, where compile caches go, and no reaching out."""
    keys_inside = KEY_TARGET if key_file is not None and settings.runtime == "docker" else key_file
    variables = guard_environment(settings, files=files, key_file=keys_inside, chat_template=facts.chat_template)
    variables |= plugin_environment(settings, facts, files=files)
    if settings.engine == "rehearsal":
        return {**variables, **facts.rehearsal_environment}
    variables |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    if settings.runtime == "docker":
        variables |= {"TRITON_CACHE_DIR": f"{CACHE_TARGET}/triton", "CUDA_CACHE_PATH": f"{CACHE_TARGET}/cuda"}
    elif settings.gpus == "none":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    elif settings.gpu_ids:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(settings.gpu_ids)
    return variables


def _container(settings: Settings, facts: Facts, tensor_parallel: int) -> Container:
    podman = facts.engine is not None and facts.engine.is_podman
    probe = (
        "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open("
        f"'http://127.0.0.1:{CONTAINER_PORT}/health', timeout=4)"
    )
    return Container(
        health_check=HealthCheck(
            test=("CMD", "python3", "-c", probe),
            interval=10,
            timeout=5,
            retries=3,
            start_period=int(settings.ready_timeout),
        ),
        restart=settings.restart,
        cap_drop=("ALL",),
        cap_add=("DAC_OVERRIDE",),
        security_opt=("no-new-privileges:true",),
        shm_size_mib=SHM_MIB if tensor_parallel == 1 else SHM_TENSOR_PARALLEL_MIB,
        log_driver=None if podman else "json-file",
        log_options={} if podman else {"max-size": "50m", "max-file": "3"},
    )

"""The facts file's schema: what may stand in it, and what may be left out."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Size = Annotated[int, Field(ge=0)]
Capability = Annotated[str, Field(pattern=r"^(\d+\.\d+)?$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ProcessRecord(_Record):
    """A process that holds memory of a GPU."""

    pid: Size
    name: str = ""
    memory_mib: Size | None = None


class SliceRecord(_Record):
    """A slice of a GPU in MIG mode."""

    id: str
    uuid: str = ""
    name: str = ""
    memory_total_mib: Size | None
    memory_free_mib: Size | None = None


class GpuRecord(_Record):
    """A GPU. Left out: the index is its position in the list, and all of its memory is free.

    `null` as a size means that the driver does not tell; so does an empty compute capability.
    """

    index: Size | None = None
    name: str = ""
    uuid: str = ""
    memory_total_mib: Size | None
    memory_free_mib: Size | None = None
    compute_capability: Capability
    memory_reserved_mib: Size | None = None
    unified: bool = False
    mig: bool = False
    slices: tuple[SliceRecord, ...] = ()
    processes: tuple[ProcessRecord, ...] = ()
    temperature_c: int | None = None
    power_w: float | None = None
    brand: str = ""

    @model_validator(mode="after")
    def _parts_fit_into_the_whole(self) -> GpuRecord:
        total = self.memory_total_mib
        for part in ("memory_free_mib", "memory_reserved_mib"):
            size = getattr(self, part)
            if total is not None and size is not None and size > total:
                raise ValueError(f"{part} ({size}) is more than memory_total_mib ({total})")
        return self


class EngineRecord(_Record):
    """A container engine; `storage_free` and `memory_total` in bytes."""

    url: str = ""
    version: str = ""
    architecture: str = ""
    is_podman: bool = False
    is_remote: bool = False
    runtimes: tuple[str, ...] = ()
    cdi_nvidia: bool | None = None
    api_version: str = ""
    context: str = ""
    rootless: bool = False
    gpu_hook: bool | None = None
    toolkit: bool | None = None
    storage: str = ""
    storage_free: Size | None = None
    memory_total: Size | None = None
    cgroup_version: str = ""


class FactsFile(_Record):
    """A machine; memory in MiB. `source` says in words where the facts come from, and is for people only."""

    gpus: tuple[GpuRecord, ...]
    driver_version: str = ""
    cuda_version: str = ""
    architecture: str = ""
    memory_total_mib: Size | None = None
    memory_available_mib: Size | None = None
    engine: EngineRecord | None = None
    source: str = ""

    @model_validator(mode="after")
    def _every_gpu_is_one_of_its_own(self) -> FactsFile:
        indices = [position if gpu.index is None else gpu.index for position, gpu in enumerate(self.gpus)]
        for index, count in Counter(indices).items():
            if count > 1:
                raise ValueError(f"{count} GPUs have index {index}")
        return self

"""Facts of a machine as a JSON document: written by `doctor --save-facts`, read by `--facts`, held by profiles."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ..errors import SettingsError
from .facts_file import FactsFile, GpuRecord
from .gpu import Gpu, GpuProcess, Gpus, MigSlice
from .host import HostFacts, architecture_in_docker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .engine import EngineFacts
    from .gather import Facts

ALWAYS_WRITTEN = ("index", "name", "uuid", "memory_total_mib", "memory_free_mib", "compute_capability")
"""Of a GPU; the rest of its fields only where they say something."""


def read_facts_file(path: Path) -> Mapping[str, Any]:
    """The document in a file, checked.

    Raises:
        SettingsError: it cannot be read, is not JSON, or holds something else than facts.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(f"{path} cannot be read", why=why, fix=f"ls -ld {shlex.quote(str(path))}") from error
    except ValueError as error:  # broken JSON, or no UTF-8
        raise _not_facts(str(path), f"it is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise _not_facts(str(path), "its top level is not an object")
    _checked(document, str(path))
    return document


def on_another_machine(facts: Facts, recorded: Mapping[str, Any], *, named: str) -> Facts:
    """These facts with the machine's own (GPUs, driver, architecture, memory, engine) replaced by recorded ones.

    What the document leaves out is not known there, with one exception: the architecture is then the recorded
    engine's, or taken to be this machine's. What can only be this machine's (the image, its disks) is dropped.

    Raises:
        SettingsError: the document is malformed.
    """
    record = _checked(recorded, named)
    engine = _engine(record, facts.architecture)
    return replace(
        facts,
        gpus=_gpus(record, named),
        engine=engine,
        engine_problem=None,
        architecture=architecture_in_docker(record.architecture)
        or (engine.architecture if engine else facts.architecture),
        host=HostFacts(record.memory_total_mib, record.memory_available_mib),
        image=None,
        image_looked_for=False,
        elsewhere=named,
    )


def gpus_of(recorded: Mapping[str, Any], *, named: str) -> Gpus:
    """The GPUs of a recorded machine, with their driver.

    Raises:
        SettingsError: the document is malformed.
    """
    return _gpus(_checked(recorded, named), named)


def to_document(facts: Facts) -> dict[str, Any]:
    """The machine's part of the facts, as `read_facts_file` reads it; what is not known is left out."""
    gpus = facts.gpus
    document = {
        "gpus": [_as_written(gpu) for gpu in gpus.found],
        "driver_version": gpus.driver_version,
        "cuda_version": gpus.cuda_version,
        "architecture": facts.architecture,
        "memory_total_mib": facts.host.memory_total_mib,
        "memory_available_mib": facts.host.memory_available_mib,
        "engine": _listed(asdict(facts.engine)) if facts.engine else None,
    }
    return {key: value for key, value in document.items() if value is not None and value != ""}


def _checked(document: Mapping[str, Any], named: str) -> FactsFile:
    try:
        return FactsFile.model_validate(document)
    except ValidationError as error:
        complaints = [_complaint(item) for item in error.errors(include_url=False, include_input=False)]
        raise _not_facts(named, "; ".join(dict.fromkeys(complaints))) from error


def _not_facts(named: str, why: str) -> SettingsError:
    return SettingsError(
        f"{named} does not hold the facts of a machine", why=why, fix="stepaudio-serve doctor --save-facts FILE"
    )


def _complaint(item: Any) -> str:
    *parents, last = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"]] or [""]
    place = "".join([*parents, last]).lstrip(".")
    if item["type"] == "extra_forbidden":
        return f"unknown key `{place}`"
    if item["type"] == "missing":
        return f"`{place}` is missing"
    message = str(item["ctx"]["error"]) if item["type"] == "value_error" else str(item["msg"])
    return f"`{place}`: {message}" if place else message


def _gpus(record: FactsFile, named: str) -> Gpus:
    found = tuple(_gpu(item, position) for position, item in enumerate(record.gpus))
    return Gpus(
        found,
        absence="" if found else f"{named} lists no GPU",
        absence_kind="" if found else "no-gpu",
        driver_version=record.driver_version,
        cuda_version=record.cuda_version,
    )


def _gpu(record: GpuRecord, position: int) -> Gpu:
    values = {field.name: getattr(record, field.name) for field in fields(Gpu)}
    return Gpu(
        **{
            **values,
            "index": position if record.index is None else record.index,
            "memory_free_mib": (
                record.memory_free_mib if "memory_free_mib" in record.model_fields_set else record.memory_total_mib
            ),
            "slices": tuple(MigSlice(**item.model_dump()) for item in record.slices),
            "processes": tuple(GpuProcess(**item.model_dump()) for item in record.processes),
        }
    )


def _engine(record: FactsFile, this_architecture: str) -> EngineFacts | None:
    if record.engine is None:
        return None
    from .engine import EngineFacts

    values = record.engine.model_dump()
    architecture = architecture_in_docker(values["architecture"] or record.architecture or this_architecture)
    return EngineFacts(**{**values, "architecture": architecture})


def _as_written(gpu: Gpu) -> dict[str, Any]:
    defaults = {field.name: field.default for field in fields(Gpu)}
    values = asdict(gpu)
    return _listed({key: value for key, value in values.items() if key in ALWAYS_WRITTEN or value != defaults[key]})


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    """With lists for tuples, as JSON has them."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

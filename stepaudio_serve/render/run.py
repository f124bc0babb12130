"""The plan as a `docker run` line."""

from __future__ import annotations

import csv
import io
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..plan.plan import bracketed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..plan.plan import Mount, Plan, Port


FILES_FOLDER = "engine"
LABELS_FILE = "labels"


def run_files(plan: Plan, folder: Path) -> dict[str, str]:
    """A script with the line, and the files it reads, by their path in `folder` (absolute), where the script looks."""
    script = run_command(_moved(plan, str(folder / FILES_FOLDER)), folder / LABELS_FILE)
    files = {f"{FILES_FOLDER}/{path}": text for path, text in plan.files.items()}
    labels = {LABELS_FILE: _labels(plan)} if _has_labels(plan) else {}
    return {"run.sh": f"#!/bin/sh\nexec {script}\n", **labels, **files}


def files_in_place(plan: Plan) -> dict[Path, str]:
    """The files that the line of `run_command` reads, by their absolute paths; named by what is in them."""
    files = {Path(plan.files_source) / path: text for path, text in plan.files.items()}
    return files | ({labels_file(plan): _labels(plan)} if _has_labels(plan) else {})


def labels_file(plan: Plan) -> Path:
    """Where `docker run --label-file` finds the plan's labels."""
    return Path(plan.files_source).with_name(f"{LABELS_FILE}-{plan.hash}")


def _has_labels(plan: Plan) -> bool:
    """Whether the line names labels: the model card's command does not, nor is a process a container."""
    return plan.runtime == "docker" and not plan.container.auto_remove


def _labels(plan: Plan) -> str:
    return "".join(f"{key}={value}\n" for key, value in plan.labels.items())


def _moved(plan: Plan, files_source: str) -> Plan:
    """The plan with its files somewhere else."""
    if not plan.files:
        return plan

    def move(text: str) -> str:
        return text.replace(plan.files_source, files_source)

    return replace(
        plan,
        mounts=tuple(replace(mount, source=move(mount.source)) for mount in plan.mounts),
        command=tuple(map(move, plan.command)),
        environment={key: move(value) for key, value in plan.environment.items()},
    )


def run_command(plan: Plan, labels: Path | None = None) -> str:
    """The command, one argument group a line, quoted for a shell; `labels` where they are not in their usual file."""
    groups = [shlex.join(group) for group in run_arguments(plan, labels)]
    return " \\\n  ".join(groups)


def run_arguments(plan: Plan, labels: Path | None = None) -> Iterator[tuple[str, ...]]:
    """The arguments, grouped as they belong together on a line."""
    if plan.runtime == "process":
        variables = tuple(f"{key}={value}" for key, value in plan.environment.items())
        yield ("env", *variables, *plan.entrypoint) if variables else plan.entrypoint
        yield from _engine(plan.command)
        return
    if plan.container.auto_remove:
        yield from _as_the_card(plan)
    else:
        yield from _as_a_service(plan, labels or labels_file(plan))
    yield from _engine(plan.command)


def _as_the_card(plan: Plan) -> Iterator[tuple[str, ...]]:
    yield ("docker", "run", "--rm", "-ti", *_gpus(plan))
    for mount in plan.mounts:
        yield ("-v", f"{mount.source}:{mount.target}")
    for port in plan.ports:
        yield ("-p", _published(port))
    yield (plan.image,)


def _as_a_service(plan: Plan, labels: Path) -> Iterator[tuple[str, ...]]:
    shape = plan.container
    yield ("docker", "run", "--detach", "--name", plan.name, "--label-file", str(labels))
    if plan.gpus.driver != "none":
        yield _gpus(plan)
    for mount in plan.mounts:
        yield ("--mount", _mount(mount))
    for port in plan.ports:
        yield ("--publish", _published(port))
    for key, value in plan.environment.items():
        yield ("--env", f"{key}={value}")
    if shape.shm_size_mib:
        yield ("--shm-size", f"{shape.shm_size_mib}m")
    yield tuple(
        word
        for flag, values in (
            ("--cap-drop", shape.cap_drop),
            ("--cap-add", shape.cap_add),
            ("--security-opt", shape.security_opt),
        )
        for value in values
        for word in (flag, value)
    )
    if shape.log_driver:
        options = (word for key, value in shape.log_options.items() for word in ("--log-opt", f"{key}={value}"))
        yield ("--log-driver", shape.log_driver, *options)
    yield ("--restart", shape.restart, "--stop-timeout", str(plan.stop_grace))
    if shape.health_check:
        check = shape.health_check
        yield ("--health-cmd", shlex.join(check.test[1:]))
        yield (
            *("--health-interval", f"{check.interval}s", "--health-timeout", f"{check.timeout}s"),
            *("--health-retries", str(check.retries), "--health-start-period", f"{check.start_period}s"),
        )
    yield ("--entrypoint", plan.entrypoint[0], plan.image, *plan.entrypoint[1:])


def _engine(command: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    group: tuple[str, ...] = ()
    for word in command:
        if word.startswith("--") and group:
            yield group
            group = ()
        group += (word,)
    if group:
        yield group


def _gpus(plan: Plan) -> tuple[str, ...]:
    if plan.gpus.driver == "none":
        return ()
    if plan.gpus.driver == "cdi":
        return tuple(word for device in plan.gpus.cdi_devices for word in ("--device", device))
    return ("--gpus", f'"device={",".join(plan.gpus.ids)}"' if plan.gpus.ids else "all")


def _published(port: Port) -> str:
    ports = f"{port.host_port}:{port.container_port}"
    return f"{bracketed(port.host_ip)}:{ports}" if port.host_ip else ports


def _mount(mount: Mount) -> str:
    parts = [f"type={mount.kind}", f"source={mount.source}", f"target={mount.target}"]
    line = io.StringIO()  # the flag's value is one line of CSV
    csv.writer(line, lineterminator="").writerow([*parts, "readonly"] if mount.read_only else parts)
    return line.getvalue()

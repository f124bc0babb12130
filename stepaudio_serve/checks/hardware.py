"""Compute capability, kind of weights, image and driver against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding
from ..plan.devices import devices_for
from ..plan.versions import older, version
from ..settings.engine_images import chosen_image
from ..settings.quantizations import support
from .cuda_requirement import Offer, requirements, satisfied, wanted_cuda
from .engine_choice import working
from .flags import value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..facts.gather import Facts
    from ..plan.devices import Device
    from ..plan.plan import Plan
    from ..settings.engine_images import EngineImage
    from ..settings.options import Settings
    from ..settings.quantizations import Native, Support

UPDATE_DRIVER = "sudo ubuntu-drivers install && sudo reboot   # on Ubuntu; {why}. nvidia-smi shows the driver"


def check_hardware(settings: Settings, facts: Facts, plan: Plan) -> Iterator[Finding]:
    """Whether these GPUs can compute this model in this image."""
    if settings.engine != "vllm" or settings.gpus == "none":
        return
    devices = tuple(device for device in devices_for(settings, facts.gpus) if device.compute_capability)
    known = chosen_image(settings)
    if plan.image == known.image:
        yield from _image(known, devices, plan, working(settings, facts))
        yield from _fp8_cache(known, devices, plan)
    if facts.checkpoint.exists or facts.checkpoint.published:
        yield from _arithmetic(facts, devices, plan)
    if devices:
        yield from _required(facts, plan)


# ---- what is in the image


def _image(known: EngineImage, devices: tuple[Device, ...], plan: Plan, other: str) -> Iterator[Finding]:
    """`other` is the flag for another image that can work here, or empty."""
    for capability, name in _kinds(devices):
        if capability in known.lacks:
            yield Finding(
                "capability",
                "hardware",
                "blocker",
                f"{known.image} does not run on {name} (compute capability {capability})",
                f"it has no kernels for sm_{capability.replace('.', '')}",
                _other_gpus(plan, devices, lambda its: its not in known.lacks) or other or _image_for(capability),
            )
        elif known.newest_capability and older(known.newest_capability, capability):
            yield Finding(
                "capability",
                "hardware",
                "warning",
                f"{name} (compute capability {capability}) is newer than {known.image} is known for",
                f"it was seen to run up to {known.newest_capability}; kernels for this GPU may be missing",
                other or _image_for(capability),
            )
        elif not known.newest_capability:
            yield Finding(
                "capability",
                "hardware",
                "note",
                f"whether {known.image} has all kernels for {name} (compute capability {capability}) is not known here",
                "nobody has reported this model in it on a real GPU; the spoken question at the start tells",
            )


def _fp8_cache(known: EngineImage, devices: tuple[Device, ...], plan: Plan) -> Iterator[Finding]:
    dtype = value_of("--kv-cache-dtype", plan.command)
    present = {device.compute_capability for device in devices}
    refused, untried = sorted(present & set(known.no_fp8_kv_cache)), sorted(present & set(known.unknown_fp8_kv_cache))
    if dtype.startswith("fp8") and untried:
        yield Finding(
            "kv-cache-dtype",
            "hardware",
            "note",
            f"whether an {dtype} KV cache works in {known.image} on compute capability {', '.join(untried)} is open",
            "it does not in the frozen image; here nobody has tried",
        )
    if dtype.startswith("fp8") and refused:
        yield Finding(
            "kv-cache-dtype",
            "hardware",
            "blocker",
            f"an {dtype} KV cache does not work on compute capability {', '.join(refused)} in {known.image}",
            "this build of vLLM has none for these GPUs",
            f"leave --kv-cache-dtype {dtype} away after the --",
        )


# ---- how the weights are computed with


def _arithmetic(facts: Facts, devices: tuple[Device, ...], plan: Plan) -> Iterator[Finding]:
    quantization = facts.checkpoint.quantization
    rule = support(quantization.kind)
    if rule is None:
        yield Finding(
            "quantization",
            "hardware",
            "note",
            f"whether these GPUs can compute {_called(quantization.method, quantization.format)} is not known",
            "only 16-bit, NVFP4 and NVFP4A16 checkpoints are known here",
        )
        return
    native = [
        device for device in devices if rule.native and not older(device.compute_capability, rule.native.capability)
    ]
    refused = tuple(_driver(rule, rule.native, facts)) if rule.native and native else ()
    yield from refused
    for capability, name in _kinds(devices):
        finding = _computes(rule, capability, name, devices, plan)
        if not (refused and finding.level == "ok"):
            yield finding


def _computes(rule: Support, capability: str, name: str, devices: tuple[Device, ...], plan: Plan) -> Finding:
    where = f"{name} (compute capability {capability})"
    if rule.native and not older(capability, rule.native.capability):
        return Finding("quantization", "hardware", "ok", f"{rule.name} runs natively on {where}")
    if rule.fallback and not older(capability, rule.fallback.capability):
        what = f"{rule.name} runs on {where} by {rule.fallback.how}"
        return Finding("quantization", "hardware", "note", what, rule.fallback.cost)
    return Finding(
        "quantization",
        "hardware",
        "blocker",
        f"{where} cannot compute {rule.name}",
        f"compute capability {rule.oldest_capability} or newer is needed",
        _other_gpus(plan, devices, lambda its: not older(its, rule.oldest_capability))
        or "stepaudio-serve profiles list   # the machines that can",
    )


def _driver(rule: Support, native: Native, facts: Facts) -> Iterator[Finding]:
    gpus = facts.gpus
    too_old = older(gpus.cuda_version, native.cuda) if gpus.cuda_version else older(gpus.driver_version, native.driver)
    if native.cuda and too_old:
        yield Finding(
            "driver-too-old",
            "hardware",
            "blocker",
            f"the NVIDIA driver {gpus.driver_version or f'(CUDA {gpus.cuda_version})'} is too old for {rule.name}",
            f"native {rule.name} needs CUDA {native.cuda}, which comes with driver {native.driver}",
            UPDATE_DRIVER.format(why=f"driver {native.driver} or newer is needed"),
        )


# ---- what the image asks of the driver


def _required(facts: Facts, plan: Plan) -> Iterator[Finding]:
    gpus = facts.gpus
    if facts.image is None or not (gpus.cuda_version or gpus.driver_version):
        yield from _unknown(facts, plan)
        return
    offers = {Offer(gpus.cuda_version, gpus.driver_version, gpu.compute_capability, gpu.brand) for gpu in gpus.found}
    for text in requirements(facts.image.environment):
        answers = [satisfied(text, offer) for offer in sorted(offers, key=str)]
        if all(answers):
            continue
        has = f"driver {gpus.driver_version}" + (f" with CUDA {gpus.cuda_version}" if gpus.cuda_version else "")
        needs = f"CUDA {wanted_cuda(text)} or newer" if wanted_cuda(text) else f"`{text}`"
        refused = False in answers
        yield Finding(
            "driver-too-old" if refused else "driver-unclear",
            "hardware",
            "blocker" if refused else "warning",
            f"{plan.image} needs {needs}; this machine has {has}",
            "NVIDIA's hook refuses to start such a container"
            if refused
            else f"whether that is enough cannot be told from `{text}`",
            UPDATE_DRIVER.format(why=f"{needs} is needed"),
        )


def _unknown(facts: Facts, plan: Plan) -> Iterator[Finding]:
    """What an image asks of the driver stands in the image; a child process brings none."""
    if plan.runtime != "docker":
        return
    gpus = facts.gpus
    driver = f"the NVIDIA driver {gpus.driver_version}".rstrip() + (
        f" (CUDA {gpus.cuda_version})" if gpus.cuda_version else ""
    )
    if facts.image is None:
        why = "the image says what it needs once it is here; doctor then compares"
    else:
        why = "the driver's version is not known here"
    yield Finding(
        "driver-unclear", "hardware", "note", f"whether {driver} is new enough for {plan.image} is not known yet", why
    )


# ---- words


def _kinds(devices: tuple[Device, ...]) -> list[tuple[str, str]]:
    """Each compute capability once, with the name of a device that has it."""
    return list({device.compute_capability: device.name for device in reversed(devices)}.items())[::-1]


def _other_gpus(plan: Plan, devices: tuple[Device, ...], able: Callable[[str], bool]) -> str:
    """The flags for GPUs that would do and hold the model, else for those that would do; empty where none would."""
    if plan.memory.nearest:
        return " ".join(plan.memory.nearest)
    able_ones = [device.id for device in devices if able(device.compute_capability)]
    return f"--gpus {','.join(able_ones)}" if able_ones else ""


def _image_for(capability: str) -> str:
    major, minor = version(capability)[:2]
    return f"--image IMAGE   (one that is built for sm_{major}{minor})"


def _called(method: str, format_: str) -> str:
    return f"{method} {format_}".strip() or "its weights"

"""The profiles that ship: what stands in each file, and which one is made for a machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from stepaudio_serve.facts.recorded import gpus_of
from stepaudio_serve.settings.options import Settings
from stepaudio_serve.settings.profiles import best_match, load_profile, profile_names

if TYPE_CHECKING:
    from stepaudio_serve.facts.gpu import Gpu

NAMES = profile_names()
WITH_MACHINE = [name for name in NAMES if load_profile(name).machine]
KEYS = {"summary", "settings", "machine", "card", "caveat"}


def gpus(name: str) -> tuple[Gpu, ...]:
    """The GPUs of a profile's machine."""
    return gpus_of(load_profile(name).machine, named=name).found


# ---- the files


def test_there_is_a_profile_for_each_machine_and_for_the_model_card() -> None:
    assert set(NAMES) == {"dgx-spark", "h100", "l40s-x4", "model-card", "rtx-5090", "rtx-pro-6000"}


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_holds_settings_that_are_valid_and_nothing_unknown(name: str) -> None:
    written = yaml.safe_load(load_profile(name).text)
    assert {"summary", "settings"} <= written.keys() <= KEYS
    assert Settings.model_validate(written["settings"]) != Settings()


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_begins_with_a_comment_that_says_what_it_is_for(name: str) -> None:
    assert load_profile(name).text.startswith("# ")


@pytest.mark.parametrize("name", WITH_MACHINE)
def test_a_machine_is_given_with_its_source_its_driver_and_its_processor(name: str) -> None:
    machine = load_profile(name).machine
    assert machine["source"]
    assert machine["architecture"] in {"amd64", "arm64"}
    assert gpus_of(machine, named=name).driver_version == machine["driver_version"]  # and it is a valid facts file


@pytest.mark.parametrize("name", WITH_MACHINE)
def test_the_settings_choose_the_very_gpus_of_the_machine(name: str) -> None:
    chosen = Settings.model_validate(load_profile(name).settings).gpu_ids
    assert chosen == tuple(str(gpu.index) for gpu in gpus(name))


@pytest.mark.parametrize("name", WITH_MACHINE)
def test_the_names_of_its_gpus_begin_with_the_card(name: str) -> None:
    assert load_profile(name).card
    assert all(gpu.name.startswith(load_profile(name).card) for gpu in gpus(name))


def test_a_profile_tells_the_memory_of_all_its_gpus() -> None:
    assert load_profile("l40s-x4").memory_mib == 4 * 46068
    assert load_profile("model-card").memory_mib == 0


def test_where_nobody_has_run_anything_the_profile_says_so() -> None:
    assert [name for name in NAMES if load_profile(name).caveat] == ["dgx-spark"]
    assert "nothing has been run" in load_profile("dgx-spark").caveat


def test_only_the_dgx_spark_needs_the_upstream_image() -> None:
    images = {name: Settings.model_validate(load_profile(name).settings).engine_image for name in NAMES}
    assert [name for name, image in images.items() if image != "stepfun"] == ["dgx-spark"]
    assert images["dgx-spark"] == "upstream"


# ---- the one for a machine


@pytest.mark.parametrize("name", WITH_MACHINE)
def test_each_profile_is_the_one_for_its_own_machine(name: str) -> None:
    assert best_match(gpus(name)) == name


def test_no_profile_is_for_a_machine_without_gpus() -> None:
    assert best_match(()) is None


def test_no_profile_is_for_another_number_of_gpus() -> None:
    (card,) = gpus("rtx-5090")
    assert best_match((card, replace(card, index=1))) is None
    assert best_match(gpus("l40s-x4")[:3]) is None


def test_no_profile_is_for_a_card_of_another_name_and_the_same_size() -> None:
    (card,) = gpus("rtx-5090")
    assert best_match([replace(card, name="NVIDIA GeForce RTX 5080")]) is None


def test_a_laptop_s_gpu_of_the_same_name_is_another_card() -> None:
    (card,) = gpus("rtx-5090")
    assert best_match([replace(card, name=f"{card.name} Laptop GPU", memory_total_mib=24463)]) is None


@pytest.mark.parametrize(("share", "fits"), [(0.95, True), (1.05, True), (0.85, False), (1.15, False)])
def test_sizes_differ_a_little_with_the_driver(share: float, fits: bool) -> None:
    (card,) = gpus("rtx-pro-6000")
    other = replace(card, memory_total_mib=round((card.memory_total_mib or 0) * share))
    assert best_match([other]) == ("rtx-pro-6000" if fits else None)


def test_a_card_that_does_not_tell_its_size_is_matched_by_none() -> None:
    (card,) = gpus("h100")
    assert best_match([replace(card, memory_total_mib=None)]) is None


def test_a_card_in_mig_mode_is_matched_by_none() -> None:
    (card,) = gpus("h100")
    assert best_match([replace(card, mig=True)]) is None


@pytest.mark.parametrize("edition", ["Workstation Edition", "Max-Q Workstation Edition", "Server Edition"])
def test_every_edition_of_the_rtx_pro_6000_is_meant(edition: str) -> None:
    (card,) = gpus("rtx-pro-6000")
    assert best_match([replace(card, name=f"NVIDIA RTX PRO 6000 Blackwell {edition}")]) == "rtx-pro-6000"

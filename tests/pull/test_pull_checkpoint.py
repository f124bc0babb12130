"""`pull` brings a checkpoint from a Hub over real HTTP: whole, checked, and never twice."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.checkpoints import fabricate
from support.hub import COMMIT, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.cli import Cli, Outcome
    from support.hub import Hub

    Pull = Callable[..., Outcome]

SHARD = "model-00002-of-00003.safetensors"
TOKEN = "hf_" + "Abcdefgh12345678" * 2


@pytest.fixture
def pull(run_cli: Cli, hub: Hub) -> Pull:
    def run(*more: str | Path, env: dict[str, str] | None = None) -> Outcome:
        words = ("pull", "--model", REPOSITORY, "--checkpoint-only", *more)
        return run_cli(*words, env={**hub.environment, **(env or {})})

    return run


def on_disk(homes: Sequence[Path]) -> int:
    """Bytes of files and their parts, whatever they are called."""
    names = ("models--*/blobs/*", "Step-Audio-tiny/*", "Step-Audio-tiny/.cache/**/*.incomplete")
    total = 0
    for path in {path for home in homes for name in names for path in home.rglob(name)}:
        with suppress(FileNotFoundError):  # a part that has just become the file
            total += path.stat().st_size if path.is_file() else 0
    return total


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 60
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


def settled(homes: Sequence[Path]) -> int:
    """Bytes on the disk once nothing comes any more, for every connection is stalled; 0 until then."""
    now = on_disk(homes)
    time.sleep(0.5)
    return now if on_disk(homes) == now else 0


def published(hub: Hub) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in hub.folder.iterdir() if path.is_file() and path.suffix != ".md"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# ---- what comes, and where to


def test_into_the_hubs_cache(pull: Pull, hub: Hub, state_home: Path) -> None:
    done = pull("--json")
    assert done.code == 0, done.stderr
    told = done.json["checkpoint"]
    snapshot = state_home / "cache/huggingface/hub/models--Someone--Step-Audio-tiny/snapshots" / COMMIT
    assert (told["repository"], told["revision"], told["path"]) == (REPOSITORY, COMMIT, str(snapshot))
    assert (told["bytes"], told["downloaded"], told["verified"]) == (hub.size, hub.size, "sha256")
    assert done.json["image"] is None
    assert contents(snapshot) == published(hub)
    assert (snapshot.parents[1] / "refs/main").read_text() == COMMIT
    assert sorted(hub.served) == sorted(published(hub))


def test_the_hubs_own_library_finds_it(pull: Pull, hub: Hub, state_home: Path) -> None:
    from huggingface_hub import snapshot_download

    pull()
    cache = state_home / "cache/huggingface/hub"
    assert snapshot_download(REPOSITORY, cache_dir=cache, local_files_only=True).endswith(COMMIT)


def test_into_a_folder(pull: Pull, hub: Hub, tmp_path: Path) -> None:
    done = pull("--models-dir", tmp_path / "models", "--json")
    assert done.code == 0, done.stderr
    folder = tmp_path / "models/Step-Audio-tiny"
    assert done.json["checkpoint"]["path"] == str(folder)
    assert contents(folder) == published(hub)


def test_what_nobody_needs_is_left_out_and_said(pull: Pull, hub: Hub) -> None:
    done = pull()
    assert "left out" in done.stderr
    assert "README.md" in done.stderr
    assert "original/consolidated.safetensors" in done.stderr


@pytest.mark.parametrize("where", [(), ("--models-dir", "models")])
def test_a_second_time_fetches_nothing(pull: Pull, hub: Hub, where: tuple[str, ...]) -> None:
    assert pull(*where).code == 0
    hub.forget()
    again = pull(*where)
    assert again.code == 0
    assert "already here" in again.stdout
    assert hub.served == {}
    assert len(hub.checkpoint_asked) == 1  # for the list


def test_without_a_network_what_is_here_will_do(pull: Pull, hub: Hub) -> None:
    offline = {"HF_HUB_OFFLINE": "1"}
    first = pull(env=offline)
    assert first.code == 3
    assert "HF_HUB_OFFLINE" in first.stderr
    assert pull().code == 0
    again = pull(env=offline)
    assert again.code == 0
    assert "already here" in again.stdout
    assert "not compared with the Hub" in again.stderr


def test_a_folder_of_the_users_is_only_looked_at(run_cli: Cli, hub: Hub) -> None:
    words = ("pull", "--checkpoint-only", "--model", hub.folder)
    assert run_cli(*words).code == 0
    with (hub.folder / SHARD).open("r+b") as shard:
        shard.truncate(1000)
    broken = run_cli(*words)
    assert broken.code == 3
    assert SHARD in broken.stderr
    assert hub.asked == []


# ---- interrupted and repeated, nothing is lost


def test_cut_connections_are_taken_up_where_they_ended(pull: Pull, hub: Hub) -> None:
    hub.cut = 200_000
    done = pull("--json")
    assert done.code == 0, done.stderr
    assert done.json["checkpoint"]["downloaded"] == hub.size
    assert sum(hub.served.values()) == hub.size
    assert any(range_ == "bytes=200000-" for _, range_, _ in hub.asked)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("where", [(), ("--models-dir", "models")])
def test_ended_and_repeated(run_cli: Cli, hub: Hub, pull: Pull, where: tuple[str, ...], sign: signal.Signals) -> None:
    hub.stall = 100_000
    homes = (run_cli.folder, Path(run_cli.environment["XDG_CACHE_HOME"]))
    for _ in range(2):
        process = run_cli.start("pull", "--model", REPOSITORY, "--checkpoint-only", *where, env=hub.environment)
        came = on_disk(homes)
        assert eventually(lambda: settled(homes) > came + 299_000)  # noqa: B023
        os.killpg(process.pid, sign)
        assert process.wait(10) == (-sign if sign == signal.SIGKILL else 130)
        said = process.stderr.read()
        assert "the same command goes on from there" in said or sign == signal.SIGKILL
        assert "Traceback" not in said
    hub.stall = None
    there, served = on_disk(homes), sum(hub.served.values())
    last = pull(*where, "--json")
    assert last.code == 0, last.stderr
    assert there >= 600_000
    assert last.json["checkpoint"]["downloaded"] == hub.size - there
    assert sum(hub.served.values()) - served == hub.size - there


def test_a_hub_without_ranges(pull: Pull, hub: Hub, state_home: Path) -> None:
    blobs = state_home / "cache/huggingface/hub/models--Someone--Step-Audio-tiny/blobs"
    blobs.mkdir(parents=True)
    (digest,) = (file["lfs"]["sha256"] for file in hub.document()["siblings"] if file["rfilename"] == SHARD)
    (blobs / f"{digest}.incomplete").write_bytes((hub.folder / SHARD).read_bytes()[:1000])
    hub.no_ranges = True
    assert pull().code == 0
    assert (blobs / digest).read_bytes() == (hub.folder / SHARD).read_bytes()


def test_a_part_that_was_damaged_is_fetched_anew(pull: Pull, hub: Hub, state_home: Path) -> None:
    blobs = state_home / "cache/huggingface/hub/models--Someone--Step-Audio-tiny/blobs"
    blobs.mkdir(parents=True)
    (digest,) = (file["lfs"]["sha256"] for file in hub.document()["siblings"] if file["rfilename"] == SHARD)
    (blobs / f"{digest}.incomplete").write_bytes(b"not what the file begins with")
    assert pull().code == 0
    assert (blobs / digest).read_bytes() == (hub.folder / SHARD).read_bytes()


# ---- refused, and told apart


@pytest.mark.parametrize(
    ("what", "answer", "words"),
    [
        ("files", (401, {"X-Error-Code": "GatedRepo"}), ("gated", "hf auth login")),
        ("files", (403, {"X-Error-Code": "GatedRepo"}), ("no access yet", f"/{REPOSITORY}")),
        ("listing", (401, {}), ("does not give", "HF_TOKEN")),
        ("listing", (401, {"X-Error-Code": "RepoNotFound"}), ("no repository", "--model")),
        ("listing", (429, {"Retry-After": "120"}), ("in 120 s", "sleep 120")),
        ("files", (429, {"Retry-After": "120"}), ("in 120 s", "sleep 120")),
        ("listing", (500, {}), ("(500)", "a failure of its own")),
        ("files", (404, {"X-Error-Code": "EntryNotFound"}), ("not in", "stepaudio-serve pull")),
    ],
)
def test_refused_with_words(pull: Pull, hub: Hub, what: str, answer: tuple[int, dict[str, str]], words: Any) -> None:
    setattr(hub, what, answer)
    done = pull("--json")
    assert done.code == 3
    assert all(word in done.stderr for word in words)
    assert done.json["error"]["fix"]
    assert "Traceback" not in done.stderr


def test_no_such_revision(pull: Pull) -> None:
    done = pull("--revision", "nonsense")
    assert done.code == 3
    assert "no revision nonsense" in done.stderr


def test_nobody_answers(pull: Pull, free_port: int) -> None:
    done = pull(env={"HF_ENDPOINT": f"http://127.0.0.1:{free_port}"})
    assert done.code == 3
    assert "the connection was refused" in done.stderr


def test_an_endpoint_that_is_no_address(pull: Pull) -> None:
    done = pull(env={"HF_ENDPOINT": "banana"})
    assert done.code == 3
    assert "HF_ENDPOINT=banana is no address of a Hub" in done.stderr
    assert "fix  unset HF_ENDPOINT" in done.stderr


@pytest.mark.parametrize("what", ["listing", "files"])
@pytest.mark.parametrize("headers", [{}, {"X-Error-Code": "GatedRepo"}])
def test_a_wrong_token_is_named_by_where_it_comes_from(
    pull: Pull, hub: Hub, state_home: Path, what: str, headers: dict[str, str]
) -> None:
    setattr(hub, what, (401, headers))
    assert "does not accept the token" not in pull().stderr
    from_environment = pull(env={"HF_TOKEN": TOKEN}).stderr
    assert "does not accept the token of HF_TOKEN" in from_environment
    assert "fix  unset HF_TOKEN; hf auth login" in from_environment
    login = state_home / "cache/huggingface/token"
    login.parent.mkdir(parents=True, exist_ok=True)
    login.write_text(TOKEN)
    from_file = pull().stderr
    assert f"does not accept the token of {login}" in " ".join(from_file.split())
    assert TOKEN not in from_environment + from_file


def test_the_fix_keeps_what_was_given(pull: Pull, hub: Hub, tmp_path: Path) -> None:
    hub.listing = (500, {})
    done = pull("--models-dir", tmp_path / "m", "--revision", "v1", "--json")
    assert done.json["error"]["fix"].startswith(
        f"stepaudio-serve pull --checkpoint-only --model {REPOSITORY} --models-dir {tmp_path}/m --revision v1 "
    )


@pytest.mark.parametrize("listing", [None, (500, {})])
def test_without_an_image_the_checkpoint_comes_all_the_same(run_cli: Cli, hub: Hub, listing: Any) -> None:
    hub.listing = listing
    no_engine = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    done = run_cli("pull", "--model", REPOSITORY, env={**hub.environment, **no_engine})
    assert done.code == 3
    assert "going on with the checkpoint" in done.stderr
    if listing is None:
        assert sum(hub.served.values()) == hub.size
        assert f"checkpoint {REPOSITORY}:" in done.stdout
    else:
        assert done.stderr.count("  fix  ") == 2
        assert "(500)" in done.stderr


def test_a_file_that_arrives_damaged(pull: Pull, hub: Hub) -> None:
    hub.wrong = {SHARD}
    done = pull()
    assert done.code == 3
    assert f"{SHARD} arrives damaged" in done.stderr
    hub.wrong = set()
    hub.forget()
    assert pull().code == 0
    assert hub.served[SHARD] == (hub.folder / SHARD).stat().st_size


def test_no_room(pull: Pull, hub: Hub, state_home: Path) -> None:
    hub.declared = {SHARD: 10**15}
    done = pull()
    assert done.code == 3
    assert "does not fit on the disk" in done.stderr
    assert "1000 TB are still to come" in done.stderr
    assert "--models-dir" in done.stderr
    assert hub.served == {}
    assert not list((state_home / "cache").rglob("*.incomplete"))


def test_the_token_goes_to_the_hub_and_nowhere_else(pull: Pull, hub: Hub) -> None:
    done = pull(env={"HF_TOKEN": TOKEN})
    assert done.code == 0
    assert {authorization for _, _, authorization in hub.checkpoint_asked} == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.stdout + done.stderr


# ---- what is the user's


def test_an_edited_file_is_put_aside_and_broken_weights_are_replaced(pull: Pull, hub: Hub, tmp_path: Path) -> None:
    where = ("--models-dir", tmp_path / "models")
    assert pull(*where).code == 0
    folder = tmp_path / "models/Step-Audio-tiny"
    (folder / "config.json").write_text("{}")
    with (folder / SHARD).open("r+b") as shard:
        shard.truncate(1000)
    again = pull(*where)
    assert again.code == 0, again.stderr
    assert (folder / "config.json.before-pull-1").read_text() == "{}"
    assert "config.json.before-pull-1" in again.stderr
    assert SHARD in again.stderr
    assert (folder / SHARD).read_bytes() == (hub.folder / SHARD).read_bytes()


def test_names_that_lead_out_of_the_folder_are_refused(pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = hub.document()
    honest["siblings"][0]["rfilename"] = "../../evil.json"
    monkeypatch.setattr(hub, "document", lambda: honest)
    done = pull()
    assert done.code == 3
    assert "cannot be used" in done.stderr
    assert hub.served == {}


def test_another_checkpoint_of_the_same_name_is_put_aside_not_written_over(
    pull: Pull, hub: Hub, tmp_path: Path
) -> None:
    folder = fabricate(tmp_path / "models/Step-Audio-tiny", "tiny-nvfp4", shards=3)
    others = (folder / SHARD).read_bytes()
    done = pull("--models-dir", tmp_path / "models")
    assert done.code == 0, done.stderr
    assert (folder / f"{SHARD}.before-pull-1").read_bytes() == others
    assert f"{SHARD}.before-pull-1" in done.stderr
    assert (folder / SHARD).read_bytes() == (hub.folder / SHARD).read_bytes()


def test_a_file_of_ones_own_in_the_hubs_cache_is_put_aside(pull: Pull, hub: Hub, state_home: Path) -> None:
    assert pull().code == 0
    (snapshot,) = (state_home / "cache/huggingface/hub").glob("models--*/snapshots/*")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").write_text('{"mine": true}')
    done = pull()
    assert done.code == 0, done.stderr
    assert (snapshot / "config.json.before-pull-1").read_text() == '{"mine": true}'
    assert "config.json.before-pull-1" in done.stderr
    assert (snapshot / "config.json").read_bytes() == (hub.folder / "config.json").read_bytes()


@pytest.mark.parametrize("in_cache", [True, False])
def test_weights_of_the_right_size_that_are_none_are_fetched_anew(
    pull: Pull, hub: Hub, state_home: Path, tmp_path: Path, in_cache: bool
) -> None:
    where = () if in_cache else ("--models-dir", tmp_path / "models")
    assert pull(*where).code == 0
    snapshots = (state_home / "cache/huggingface/hub").glob("models--*/snapshots/*")
    folder = next(snapshots) if in_cache else tmp_path / "models/Step-Audio-tiny"
    shard = (folder / SHARD).resolve()
    shard.write_bytes(b"\0" * shard.stat().st_size)
    done = pull(*where)
    assert done.code == 0, done.stderr
    assert (folder / SHARD).read_bytes() == (hub.folder / SHARD).read_bytes()

"""The docker runtime: deployments are containers, found by label, through the Docker SDK."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import RefusedError
from ..plan.labels import LABEL_PREFIX
from .container import container_config, deployment_of, is_ours
from .deployment import Deployment, Exit, ForeignError, NameTakenError, gone

if TYPE_CHECKING:
    from collections.abc import Generator

    from docker import DockerClient
    from docker.errors import APIError

    from ..plan.plan import Plan


class DockerRuntime:
    """Deployments in the Docker Engine that a client is connected to, or in Podman's Docker-compatible service."""

    def __init__(self, client: DockerClient) -> None:
        self.client = client
        self._api = client.api

    def find(self, name: str) -> Deployment | None:
        """The deployment of that name, or None.

        Raises:
            ForeignError: a container of that name exists and is not ours.
        """
        from docker.errors import NotFound

        try:
            attributes = self._api.inspect_container(name)
        except NotFound:
            return None
        if attributes["Name"].lstrip("/") != name:  # the name was read as the start of some container's id
            return None
        if not is_ours(attributes):
            raise ForeignError(
                f"the container `{name}` was not started by stepaudio-serve",
                why="it does not carry our label; it is never touched",
                fix="stepaudio-serve up --name ANOTHER-NAME",
            )
        return deployment_of(attributes)

    def deployments(self) -> tuple[Deployment, ...]:
        """Every deployment of ours, by name."""
        from docker.errors import NotFound

        found = []
        for row in self._api.containers(all=True, filters={"label": LABEL_PREFIX + "deployment"}):
            with suppress(NotFound):  # removed since it was listed
                found.append(deployment_of(self._api.inspect_container(row["Id"])))
        return tuple(sorted(found, key=lambda item: item.name))

    def publisher_of(self, port: int) -> str | None:
        """The name of the running container that publishes a host port, ours or not."""
        for row in self._api.containers():
            if any(published.get("PublicPort") == port for published in row.get("Ports") or ()):
                return str(row["Names"][0]).lstrip("/")
        return None

    def create(self, plan: Plan) -> Deployment:
        """Create the container.

        Raises:
            NameTakenError: a container of that name appeared in the meantime.
            RefusedError: the engine refuses the configuration.
        """
        from docker.errors import APIError

        api: Any = self._api  # the stubs leave this call untyped
        try:
            made = api.create_container_from_config(container_config(self._api, plan), name=plan.name)
        except APIError as error:
            if error.status_code == 409:
                raise NameTakenError(f"the name `{plan.name}` was taken just now") from error
            raise refusal(error) from error
        return deployment_of(self._api.inspect_container(made["Id"]))

    def start(self, deployment: Deployment) -> Deployment:
        """Start the container; one that the engine refuses to start is removed, it never ran.

        Raises:
            RefusedError: in words, with the engine's own message.
        """
        from docker.errors import APIError

        try:
            self._api.start(deployment.id)
        except APIError as error:
            self.remove(deployment)
            raise refusal(error) from error
        return deployment_of(self._api.inspect_container(deployment.id))

    def hand_over(self, deployment: Deployment) -> str:
        """Set the plan's restart policy: before the engine was ready a restart would only have hidden its failure."""
        from docker.errors import APIError, NotFound

        policy = deployment.plan["container"]["restart"]
        if policy == "no":
            return ""
        try:
            self._api.update_container(deployment.id, restart_policy={"Name": policy})
        except APIError as error:
            if error.status_code != 404:
                raise
            try:
                self._api.inspect_container(deployment.id)
            except NotFound:
                raise gone(deployment) from error
            return f"restart: {policy} is not in force: this container engine cannot change it (Podman before 5)"
        return ""

    def stop(self, deployment: Deployment, grace: int) -> None:
        """Stop the container; Docker kills it after `grace` seconds."""
        from docker.errors import NotFound

        with suppress(NotFound):
            self._api.stop(deployment.id, timeout=grace)

    def remove(self, deployment: Deployment) -> None:
        """Remove the container and its anonymous volumes; the named cache stays."""
        from docker.errors import APIError, NotFound

        with suppress(NotFound):
            try:
                self._api.remove_container(deployment.id, force=True, v=True)
            except APIError as error:
                if error.status_code != 409:  # somebody else is removing it already
                    raise

    def logs(
        self, deployment: Deployment, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> Generator[bytes, None, None]:
        """The container's output, both streams.

        Raises:
            NoSuchDeploymentError: the container has gone.
        """
        from docker.errors import DockerException, NotFound

        try:
            stream = self._api.logs(
                deployment.id, stream=True, follow=follow, tail="all" if tail is None else tail, since=since
            )
        except NotFound as error:
            raise gone(deployment) from error
        try:
            yield from stream
        finally:
            with suppress(DockerException, OSError):  # over SSH it cannot be closed before its end
                stream.close()

    def wait(self, deployment: Deployment) -> Exit:
        """Block until the container has ended."""
        from docker.errors import NotFound

        try:
            code = int(self._api.wait(deployment.id, timeout=None)["StatusCode"])
            state = self._api.inspect_container(deployment.id)["State"]
        except NotFound:
            return Exit(137)
        return Exit(code, bool(state.get("OOMKilled")))


def refusal(error: APIError) -> RefusedError:
    """What the engine said, with the cause and the fix where the catalogue knows them."""
    from ..diagnosis import diagnose

    message = str(error.explanation or error)
    known = diagnose([message])
    if known:
        return RefusedError(known[0].cause, why=f"the container engine says: {message}", fix=known[0].fix)
    return RefusedError("the container engine refused to start the container", why=message, fix="docker info")

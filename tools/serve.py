"""`make serve`: the main job on whatever this machine has.

With Docker and an NVIDIA GPU the real engine is started. Otherwise what is missing is said, and the rehearsal
engine takes its place as a background process: it hears no words, but it takes the same requests and answers
with what it measured.
"""

from __future__ import annotations

import sys
from importlib.resources import files

from stepaudio_serve import Settings, ask, up
from stepaudio_serve.cli.errors import report
from stepaudio_serve.cli.progress import observer_for
from stepaudio_serve.client.conversation import user_message
from stepaudio_serve.client.recording import read_recording
from stepaudio_serve.client.wire import Question
from stepaudio_serve.errors import RuntimeUnavailableError, StepAudioError
from stepaudio_serve.facts.engine import connect
from stepaudio_serve.facts.gpu import look_at_gpus

QUESTION = "What do you hear in this recording?"


def missing() -> list[str]:
    """What the real engine needs and this machine lacks, in words."""
    lacks = []
    try:
        connect().close()
    except RuntimeUnavailableError as error:
        lacks.append(f"no Docker: {error.what} ({error.why})")
    gpus = look_at_gpus()
    if not gpus.found:
        lacks.append(f"no NVIDIA GPU: {gpus.absence}")
    return lacks


def main() -> int:
    """Start, ask about a sound, print the answer; the exit code of `up`."""
    lacks = missing()
    settings = Settings()
    if lacks:
        settings = Settings(engine="rehearsal", runtime="process")
        print("The real engine cannot run on this machine:")
        for lack in lacks:
            print(f"  - {lack}")
        print("Starting the rehearsal engine instead: same endpoint, no model.\n", flush=True)
    try:
        with observer_for(attached=False) as observer:
            deployment = up(settings, observer=observer).status.deployment
        clip = files("stepaudio_serve.startup") / "canary.wav"
        answer = ask(
            Question(
                endpoint=deployment.endpoint,
                model=deployment.model,
                messages=[user_message(QUESTION, [read_recording(clip)])],
            )
        )
    except (StepAudioError, KeyboardInterrupt) as error:
        return report(error, as_json=False)
    print(f"\nEndpoint: {deployment.endpoint}/v1 (in the background)")
    print(f"Asked:    {QUESTION}  [{clip.name}]")
    print(f"Answer:   {answer.text}")
    print("\nAsk it more:  .venv/bin/stepaudio-serve ask FILE.wav 'What is this?'")
    print("End it:       .venv/bin/stepaudio-serve down")
    return 0


if __name__ == "__main__":
    sys.exit(main())

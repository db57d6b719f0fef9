"""Prepares and serves the demo; `make run` is this, in a virtual environment.

Everything it makes lies in ``.demo/`` of the current folder.  Once all is there this process
becomes ``swapd serve``, so that signals and the exit code are swapd's own.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from swapd.testing import announcement, demo_folder, demo_server, tiny_models
from swapd.testing.announcement import Address
from swapd.testing.demo_folder import CannotDemoError

HOME = Path(".demo")
CONFIG = Path("configs/demo.yaml")
SENTENCES = {
    "alpha": "Hello from alpha, a tiny model that lives on this machine.",
    "beta": "Greetings! This is beta speaking, the second of two tiny models.",
}
INTRODUCTION = """\
alpha and beta take turns, for only one chat model fits; embed has a place of its own.
Ask alpha, then beta, and watch them swap:"""


def say(line: str) -> None:
    """Tell the person what is going on, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def prepare_demo() -> Path:
    """Make all that configs/demo.yaml refers to; return the configuration.

    Raises:
      CannotDemoError: This is not the project's root.
    """
    if not CONFIG.is_file():
        raise CannotDemoError(f"{CONFIG} is not here: run the demo in the project's root folder")
    HOME.mkdir(exist_ok=True)
    reason = demo_server.why_not_here() or _write_models() or _try_real_server()
    if reason is None:
        demo_server.place_real(HOME / "llama-server")
        say("Models: tiny real ones, run by the llama.cpp server of the demo extra.")
    else:
        demo_server.place_stand_in(HOME / "llama-server")
        say(f"Models: stand-ins, because {reason}.")
    return CONFIG


def _write_models() -> str | None:
    """Write the models that are missing; return why that cannot be done here, if so."""
    try:
        for name, sentence in SENTENCES.items():
            if not (path := HOME / f"{name}.gguf").exists():
                tiny_models.write_chat(path, say=sentence, name=name)
        if not (path := HOME / "embed.gguf").exists():
            tiny_models.write_embedding(path, name="embed")
    except ImportError as error:
        return f"no model file can be written here ({error})"
    return None


def _try_real_server() -> str | None:
    server = demo_server.real_server()
    return demo_server.why_it_fails(server, HOME / "alpha.gguf", HOME / "llama-server.log")


def prepare_folder(folder: Path) -> tuple[Path, str]:
    """Write a configuration for the models in ``folder``; return it and a model to talk to."""
    models = demo_folder.find_models(folder.expanduser())
    HOME.mkdir(exist_ok=True)
    config = HOME / "models.yaml"
    config.write_text(demo_folder.configuration(models, server=demo_folder.find_server()))
    say(f"Models: {', '.join(model.id for model in models)}; configured in {config}.")
    chat = next((model for model in models if not model.options), models[0])
    return config, chat.id


def curl_line(address: Address, model: str, *, stream: bool = False) -> str:
    """Return a command that chats with ``model`` when it is pasted into a shell."""
    message = {"role": "user", "content": "Who are you?"}
    body = json.dumps(
        {"model": model, "messages": [message], **({"stream": True} if stream else {})}
    )
    curl = "curl -N" if stream else "curl"
    url = f"{address.url}/v1/chat/completions"
    return f"{curl} {quote(url)} -H 'Content-Type: application/json' -d {quote(body)}"


def invitation(address: Address, models: Sequence[str], introduction: str) -> str:
    """Return what is said once swapd listens."""
    lines = [curl_line(address, model) for model in models]
    lines.append(curl_line(address, models[0], stream=True))
    parts = [f"swapd is up at {address.url}", introduction, *lines, "Ctrl-C ends it."]
    return "\n" + "\n\n".join(parts) + "\n"


def claim(address: Address) -> None:
    """Make sure that the address is free, or swapd's answer could be somebody else's.

    Raises:
      CannotDemoError: It is taken, or not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address.host, address.port))
    except OSError as error:
        raise CannotDemoError(
            f"cannot listen on {address} ({error.strerror}); "
            "choose another address: make run LISTEN=127.0.0.1:9090"
        ) from error


def serve(config: Path, address: Address) -> None:
    """Become ``swapd serve``; does not return."""
    swapd = Path(sys.executable).with_name("swapd")
    if not swapd.exists():
        raise CannotDemoError(f"{swapd} is missing: install the project first, or use make run")
    command = [str(swapd), "serve", "--config", str(config), "--listen", str(address)]
    os.execv(sys.executable, [sys.executable, *command])


def listen_address(text: str) -> Address:
    """Read an address off the command line.

    Raises:
      ArgumentTypeError: It is none; argparse shows the message.
    """
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").split("\n")[0])
    default = Address("127.0.0.1", 8080)
    parser.add_argument("--listen", type=listen_address, default=default, metavar="HOST:PORT")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="serve these .gguf files")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Prepare what ``options`` ask for, and serve it."""
    address: Address = options.listen
    claim(address)
    if options.models is None:
        config = prepare_demo()
        text = invitation(address, sorted(SENTENCES), INTRODUCTION)
    else:
        config, model = prepare_folder(options.models)
        text = invitation(address, [model], "One model at a time is loaded. Ask one:")
    announcement.announce_when_ready(address, text)
    serve(config, address)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code if it cannot begin."""
    try:
        run(parse(arguments))
    except CannotDemoError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

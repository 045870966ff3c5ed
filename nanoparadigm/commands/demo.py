"""The command `demo`: the demo in the browser."""

import os
import sys
from dataclasses import dataclass

from ..errors import InputError
from .shared import Command


@dataclass(frozen=True)
class Demo(Command):
    """Open a page in the browser on which trained models generate text, fill gaps, and race.

    Only this machine can open it, and it needs no network. It begins with the models that come with
    the package, and offers to train tiny ones if there are no others. Programs can call its buttons
    too: /write, /fill, /compare. Examples:

      nanoparadigm demo
      nanoparadigm demo --folder runs/compare-language --port 0

      from gradio_client import Client
      client = Client("http://127.0.0.1:7860")
      text, page = client.predict("ar", "lo a", length=32, seed=1, api_name="/write")

    A model may be named by the end of its path, "ar" or "language/ar". Your own models come first,
    then those of the built-in language.
    """

    folder: str = "runs"
    """where to look for runs, also one level deeper"""
    port: int = 7860
    """port on 127.0.0.1; 0 for a free one"""

    def run(self) -> None:
        """Serve the page until Ctrl-C. Raises InputError if Gradio is missing."""
        try:
            from ..show import demo_page
        except ModuleNotFoundError as error:
            if error.name != "gradio":
                raise
            raise InputError(
                "the demo needs Gradio, which is not installed: pip install gradio"
            ) from error
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # send nothing to anybody
        # Gradio asks its own page whether it is up, and no proxy can answer that
        beside = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "localhost"
        os.environ["no_proxy"] = f"{beside},127.0.0.1"
        page = demo_page.start(self.folder, self.port)
        print(f"the demo is at {page.local_url} (Ctrl-C ends it)", flush=True)
        page.block_thread()
        sys.stdout.flush()
        os._exit(0)  # with a training or a request under way, an ordinary exit would hang or abort

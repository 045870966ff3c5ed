"""The process that runs the cells of one notebook, and what it is asked."""

import base64
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from ..studies import kept

HERE = Path(__file__).parent
PACKAGE = HERE.parent
PATIENCE = 5  # seconds in which an interrupted cell must end
START = 60  # seconds for what is ours: to import torch, on a busy machine, and the like
LARGEST = 32 * 2**20  # bytes of a message from a notebook
LONGEST = 1000  # characters of a sentence from a notebook
NONE = 'raise ImportError("a notebook that is graded has no exercises to look at")'


class Stopped(Exception):
    """The notebook's process did not do what it was told; the message says why, as in "it ..."."""


class Limits(NamedTuple):
    """How many seconds each may take, and how much memory a notebook."""

    answer: float = 30
    """one call of an answer"""
    cell: float = 300
    notebook: float = 1200
    memory: float = 8
    """in GiB, of each process, where the system can limit it"""
    threads: int | None = None
    """None for as many as PyTorch takes"""


class Kernel:
    """The process that runs the cells of one notebook and calls the answers it gives.

    What it prints is not looked at. All that comes from it are replies of limited size, which are
    data and never code, so that nothing it sends can stop or change what is done here.
    """

    def __init__(self, folder: Path, limits: Limits, stop: Callable[[], bool] = bool) -> None:
        """folder: an empty one, for this notebook. stop: whether to end at once."""
        self.limits, self.stop = limits, stop
        self.deadline = time.monotonic() + limits.notebook
        copy_package(folder)
        connection, key = str(folder / "kernel.json"), secrets.token_hex().encode()
        # files in place of ports, which may be taken meanwhile
        write_connection_file(connection, transport="ipc", ip=str(folder / "kernel"), key=key)
        supervisor = [sys.executable, "-I", str(HERE / "supervisor.py"), str(limits.memory)]
        kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", connection]
        own = dict(PYTHONPATH=str(folder), IPYTHONDIR=str(folder / "ipython"))
        if limits.threads:
            own["OMP_NUM_THREADS"] = str(limits.threads)
        nowhere = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [*supervisor, *kernel],
            cwd=folder,
            env={"TQDM_DISABLE": "1"} | os.environ | own,
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            start_new_session=True,
        )
        self.context = zmq.Context()
        self.context.setsockopt(zmq.MAXMSGSIZE, LARGEST)
        self.context.setsockopt(zmq.RCVHWM, 2)  # so few messages wait here
        self.client = BlockingKernelClient(connection_file=connection, context=self.context)
        self.client.load_connection_file()
        self.client.start_channels(iopub=False, stdin=False, hb=False, control=False)

    def close(self) -> None:
        """End everything."""
        self.client.stop_channels()
        self.context.destroy(linger=0)
        self.end()

    def end(self) -> None:
        """End the process and all that it has started, by the supervisor, which is its parent."""
        self.process.terminate()
        self.process.send_signal(signal.SIGCONT)  # the notebook may have stopped it
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        self.tell(signal.SIGKILL)  # or killed it
        self.process.wait()

    def tell(self, number: int) -> None:
        """Send a signal to the processes of the notebook that are still in its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def over(self) -> str | None:
        """Return why it can run nothing more, or None."""
        if self.stop():
            return "the grading was stopped"
        if self.process.poll() is not None:
            return "its process ended"
        return "its time was over" if time.monotonic() > self.deadline else None

    def run(self, code: str, seconds: float, **options: Any) -> dict[str, Any]:
        """Execute code, and return the reply. Raises Stopped if it does not come to its end."""
        began = time.monotonic()
        sent = self.client.execute(code, allow_stdin=False, stop_on_error=False, **options)
        try:
            said = self.result(sent, min(began + seconds, self.deadline))
        except TimeoutError:
            self.tell(signal.SIGINT)
            try:
                self.result(sent, time.monotonic() + PATIENCE)
            except TimeoutError:
                self.end()
            took = time.monotonic() - began
            raise Stopped(f"was stopped after {took:.0f} seconds") from None
        if said["status"] != "ok":
            reason = (said["evalue"][:LONGEST].splitlines() or ["without a reason"])[0]
            raise Stopped(f"stopped with {said['ename']}: {reason.rstrip('.')}")
        return said

    def result(self, sent: str, limit: float) -> dict[str, Any]:
        """Return what became of a request.

        Raises TimeoutError, or Stopped if the process has ended.
        """
        while time.monotonic() < limit:
            if self.stop():
                raise Stopped("was not waited for")
            try:
                message = self.client.get_shell_msg(timeout=0.2)
            except queue.Empty:
                if self.process.poll() is not None:
                    raise Stopped("ended the process") from None
                continue
            if message["parent_header"].get("msg_id") == sent:
                return message["content"]
        raise TimeoutError

    def ask(self, call: str, seconds: float) -> bytes:
        """Return what a function of `handed_in` returns there. Raises Stopped."""
        expression = {"told": f"__import__('handed_in').{call}"}
        said = self.run("", seconds, silent=True, user_expressions=expression)
        told = said["user_expressions"]["told"]
        if told["status"] != "ok":
            raise Stopped("gave no numbers")
        return base64.b64decode(told["data"]["text/plain"].strip("'"))


def copy_package(folder: Path) -> None:
    """Copy the package into a folder without the exercises, and beside it what chapters read."""
    left_out = shutil.ignore_patterns("__pycache__", HERE.name)
    copy = shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=left_out)
    for file in (copy / "exercises").glob("*.py"):
        # emptied, not left out: an editable installation would find the package's own
        if file.name == "__init__.py":
            file.write_text(f"def __getattr__(name):\n    {NONE}\n", encoding="utf-8")
        elif file.name != "grader.py":
            file.write_text(f"{NONE}\n", encoding="utf-8")
    shutil.copy(HERE / "handed_in.py", folder)
    if kept.BOOK.is_dir():
        shutil.copytree(kept.BOOK, folder / "book" / "studies")

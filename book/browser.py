"""A headless Chromium that reaches nothing but this machine, driven over its DevTools protocol."""

import functools
import gzip
import io
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import websocket

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

FLAGS = """
    --headless=new --remote-debugging-port=0 --no-first-run --no-default-browser-check
    --disable-background-networking --disable-component-update --disable-sync --disable-extensions
    --disable-dev-shm-usage --disable-gpu --hide-scrollbars --window-size=1200,900
    --disable-features=IsolateSandboxedIframes
""".split()
# Every name but this one fails to resolve, as it does without a network.
FLAGS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

KEYS = {" ": 32, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}


class Browser:
    """One tab. `requests` and `errors` are those since the last `open`."""

    def __init__(self, folder):
        flags = [*FLAGS, f"--user-data-dir={folder}"]
        if os.geteuid() == 0:  # which Chromium refuses inside its own sandbox
            flags.append("--no-sandbox")
        silent = subprocess.DEVNULL
        command = [CHROMIUM, *flags, "about:blank"]
        self.process = subprocess.Popen(command, stdout=silent, stderr=silent)
        self.number, self.requests, self.errors = 0, [], []
        written = folder / "DevToolsActivePort"
        port = self.wait(lambda: written.read_text(encoding="ascii").split()[0])
        listed = f"http://127.0.0.1:{port}/json/list"
        address = self.wait(
            lambda: next(
                tab["webSocketDebuggerUrl"]
                for tab in json.load(urllib.request.urlopen(listed, timeout=10))
                if tab["type"] == "page"
            )
        )
        self.socket = websocket.create_connection(address, timeout=30, suppress_origin=True)
        for domain in "Page", "Network", "Runtime", "Log":
            self.call(f"{domain}.enable")

    def prefers(self, **wishes):
        """Be the browser of a reader with these wishes, as color_scheme="dark", or with none."""
        features = [dict(name=f"prefers-{k.replace('_', '-')}", value=v) for k, v in wishes.items()]
        self.call("Emulation.setEmulatedMedia", features=features)

    def resize(self, width, height=900):
        size = dict(width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def wait(self, ask, seconds=30):
        """What `ask` returns, once that is something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            with suppress(OSError, IndexError, StopIteration, RuntimeError):
                if answer := ask():
                    return answer
            time.sleep(0.02)
        raise TimeoutError(f"Chromium has not answered in {seconds} s")

    def receive(self):
        """The next message. Events are noted, answers returned."""
        message = json.loads(self.socket.recv())
        event, said = message.get("method"), message.get("params")
        if event == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            details = said["exceptionDetails"]
            self.errors.append(
                details.get("exception", details).get("description", details["text"])
            )
        elif event == "Runtime.consoleAPICalled" and said["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(a.get("value", a)) for a in said["args"]))
        elif event == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
        return message

    def call(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while (message := self.receive()).get("id") != self.number:
            pass
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def open(self, url):
        """Go there and wherever it leads, until all is loaded and the mathematics is typeset."""
        self.requests, self.errors = [], []
        self.call("Page.navigate", url=url)
        there = (
            "document.readyState == 'complete' && !document.querySelector('[http-equiv=refresh]')"
        )
        self.wait(lambda: self.ask(there))
        self.ask("window.MathJax?.startup?.promise?.then(() => true)")

    def ask(self, expression, **where):
        """The value of a JavaScript expression in the page, a promise awaited."""
        options = dict(returnByValue=True, awaitPromise=True)
        answer = self.call("Runtime.evaluate", expression=expression, **options, **where)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def ask_frame(self, expression):
        """The same in the first frame inside the page."""
        frame = self.call("Page.getFrameTree")["frameTree"]["childFrames"][0]["frame"]["id"]
        world = self.call("Page.createIsolatedWorld", frameId=frame)
        return self.ask(expression, contextId=world["executionContextId"])

    def press(self, key):
        """A key, as the keyboard would send it to what has the focus."""
        event = dict(key=key, code=key, windowsVirtualKeyCode=KEYS[key])
        self.call("Input.dispatchKeyEvent", type="rawKeyDown", **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(10)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Packed(Quiet):
    """As hosts of static pages do, it compresses what is text."""

    def send_head(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file() or path.suffix not in (".html", ".css", ".js", ".json", ".svg"):
            return super().send_head()
        body = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)


@contextmanager
def serve(folder, handler=Quiet):
    """The address at which a folder is served on the loopback."""
    handler = functools.partial(handler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()

"""Chromium without a screen, driven over its own pipe (the DevTools protocol, one JSON text and a NUL byte a message)."""

import base64
import fcntl
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--hide-scrollbars",
)
KEYS = {"Tab": 9, "Enter": 13, " ": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}
"""Name -> the code that Windows gave it."""


LOADED = "image => { image.loading = 'eager'; return image.decode().then(() => 1, () => 0); }"


class Browser:
    """One tab. `errors` are what its console and its loader complained of."""

    def __init__(self, send: BinaryIO, receive: io.BufferedReader) -> None:
        self.send, self.receive = send, receive
        self.count, self.buffer, self.events = 0, b"", list[dict[str, Any]]()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    session: str | None = None

    def call(self, method: str, **params: Any) -> Any:
        """What the browser answers; what it says in between is kept."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.send.write(json.dumps(message).encode() + b"\0")
        self.send.flush()
        while True:
            found = self._next()
            if found.get("id") == self.count:
                assert "error" not in found, (method, found["error"])
                return found["result"]
            self.events.append(found)

    def open(self, page: Path, *, width: int, dark: bool = False) -> None:
        """At this width, with every lazy picture loaded."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())
        self.js(f"Promise.all([...document.images].map({LOADED}))")

    def js(self, expression: str) -> Any:
        """The value of an expression on the page, awaited."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        text = {"Enter": "\r", " ": " "}.get(key, "")
        both = {"key": key, "code": {" ": "Space"}.get(key, key), "windowsVirtualKeyCode": KEYS[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **both)
        self.call("Input.dispatchKeyEvent", type="keyUp", **both)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def shot(self, path: Path) -> None:
        """The whole page as a PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    @property
    def errors(self) -> list[str]:
        bad = ("Log.entryAdded", "Runtime.exceptionThrown", "Network.loadingFailed")
        said = [event for event in self.events if event.get("method") == "Runtime.consoleAPICalled"]
        loud = [event for event in said if event["params"]["type"] in ("error", "warning", "assert")]
        return [json.dumps(event["params"]) for event in [*loud, *(e for e in self.events if e.get("method") in bad)]]

    @property
    def asked(self) -> list[str]:
        """Every address that was fetched."""
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            part = self.receive.read1(1 << 16)
            assert part, "the browser is gone"
            self.buffer += part
        text, _, self.buffer = self.buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, gone afterwards."""
    assert CHROMIUM is not None
    its_in, our_out = os.pipe()
    our_in, its_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}"]
        far = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (its_in, its_out)]  # clear of 3 and 4, where it looks for them
        shell = ["bash", "-c", f'exec 3<&{far[0]} 4>&{far[1]}; exec "$@"', "bash", *command]
        process = subprocess.Popen(shell, pass_fds=far, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for end in (its_in, its_out, *far):
            os.close(end)
        try:
            with os.fdopen(our_out, "wb") as send, os.fdopen(our_in, "rb") as receive:
                yield Browser(send, receive)
        finally:
            process.terminate()
            process.wait()

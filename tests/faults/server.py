"""The real program over a data folder: start, wait until healthy, kill by its process id, run its commands."""
import contextlib
import http.client
import os
import pathlib
import re
import signal
import subprocess
import time

START_LIMIT = 2.0  # on an idle machine
ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)")
CONFIG = """data_dir = "{data}"

[server]
listen = ["127.0.0.1:0"]
{server}
[drive]
durability = "{durability}"
{drive}
[accounts]
failures_per_network = 100000
failures_per_account = 100000

[log]
requests = false
"""


def too_slow(took):
    """A finding when a start took longer than it may; a machine that is busy with other things gets as much more time as it is busier."""
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    return [f"healthy only after {took:.1f} s"] if took > START_LIMIT * busy else []


class Server:
    """One data folder and the program that serves it."""

    def __init__(self, binary, folder, **settings):
        self.binary = str(binary)
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "config.toml"
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.process = None
        self.port = None
        self.prefix = []
        self.environment = {}
        self.configure(**settings)

    def configure(self, durability="strict", drive="", server="", data=None):
        if data:
            self.data = pathlib.Path(data)
        self.config.write_text(CONFIG.format(data=self.data, durability=durability, drive=drive, server=server))

    def home(self, account):
        return self.data / "homes" / account

    def start(self, patience=30):
        """Starts and returns the seconds until /healthz said 200."""
        began = time.monotonic()
        with open(self.log, "ab") as log:
            seen = log.tell()
            self.process = subprocess.Popen([*self.prefix, self.binary, "--config", str(self.config), "serve"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**os.environ, **self.environment})
        self.port = None
        while time.monotonic() < began + patience:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}: {self.said(seen)}")
            if self.healthy(seen):
                return time.monotonic() - began
            time.sleep(0.002)
        raise RuntimeError(f"the server was not healthy after {patience} s: {self.said(seen)}")

    def healthy(self, seen):
        if self.port is None:
            with open(self.log, "rb") as log:
                log.seek(seen)
                found = ADDRESS.search(log.read())
            if not found:
                return False
            self.port = int(found[1])
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def said(self, seen=0):
        return self.log.read_bytes()[seen:].decode(errors="replace").strip()[-1500:]

    def ended(self, patience):
        """How the process ended, given a moment to; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        return self.process.returncode

    def stop(self, patience=40):
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(patience)

    def kill(self):
        """kill -9, by process id."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait(30)

    close = kill

    def command(self, *words, password=None):
        """Begins `sarang ...`; the caller waits for it."""
        process = subprocess.Popen([self.binary, "--config", str(self.config), *words],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            if password is not None:
                process.stdin.write(password.encode() + b"\n")
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdin = None
        return process

    def add(self, name, password, *flags):
        process = self.command("user", "add", name, *flags, "--password-stdin", password=password)
        said, _ = process.communicate(timeout=60)
        if process.returncode != 0:
            raise RuntimeError(f"user add {name}: {said.decode(errors='replace').strip()}")

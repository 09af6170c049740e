"""The server as systemd runs it: the listening sockets stay here and are handed over at each start, and it says when it is ready."""
import asyncio
import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time

from person import PASSWORD
from wire import Target

# What docs/operations.md and systemd/sarang.service promise of a stop and of a start.
GRACE, READY = 30, 20
SETTINGS = """data_dir = "{data}"

[server]
max_connections_per_address = 1000
shutdown_grace = {grace}

[tls]
listen = ["127.0.0.1:443"]
local = true
local_names = ["localhost"]

[accounts]
failures_per_network = 100000
failures_per_account = 100000

[log]
requests = false
"""
# Between fork and exec: the descriptors 3 and 4, and whose they are.
HAND_OVER = ("import os, sys\nfor to, descriptor in ((3, sys.argv[1]), (4, sys.argv[2])):\n os.dup2(int(descriptor), to)\n"
             "os.environ['LISTEN_PID'] = str(os.getpid())\nos.execv(sys.argv[3], sys.argv[3:])")


class Failed(Exception):
    """The server did not do what it must; the sentence says what."""


class Service:
    """One data folder, the sockets that lead to it, and the program that serves it."""

    def __init__(self, binary, folder):
        self.binary, self.folder = str(binary), pathlib.Path(folder)
        self.data, self.log, self.config = self.folder / "data", self.folder / "server.log", self.folder / "config.toml"
        self.config.write_text(SETTINGS.format(data=self.data, grace=GRACE))
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=4096) for _ in range(2)]
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ear.bind(str(self.folder / "notify"))
        self.ear.setblocking(False)
        self.process, self.starts, self.ended = None, 0, 0.0

    async def start(self):
        """Begins the program and waits for its word; the seconds until then."""
        began = time.monotonic()
        # High, so that none of them is 3 or 4.
        handed = [fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD_CLOEXEC, 64) for listener in self.sockets]
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify"), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "sarang:sarang-tls"}
        command = [sys.executable, "-S", "-c", HAND_OVER, *map(str, handed), self.binary, "--config", str(self.config), "serve"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, pass_fds=handed)
        for descriptor in handed:
            os.close(descriptor)
        await self.heard("READY=1", READY)
        self.starts += 1
        return time.monotonic() - began

    async def heard(self, word, patience):
        until = time.monotonic() + patience
        while time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                while word not in self.ear.recv(4096).decode():
                    pass
                return
            if self.process.poll() is not None:
                raise Failed(f"the server ended with {self.process.returncode}: {self.said()}")
            await asyncio.sleep(0.02)
        raise Failed(f"the server did not say {word} in {patience} s: {self.said()}")

    async def stop(self):
        """SIGTERM; the seconds until it has ended, which must be in good order."""
        began, self.ended = time.monotonic(), self.cpu()
        self.process.send_signal(signal.SIGTERM)
        while self.process.poll() is None:
            if time.monotonic() > began + GRACE + 10:
                raise Failed(f"the server did not end {GRACE} s after SIGTERM: {self.said()}")
            await asyncio.sleep(0.02)
        if self.process.returncode != 0:
            raise Failed(f"the server ended with {self.process.returncode} after SIGTERM: {self.said()}")
        return time.monotonic() - began

    def cpu(self):
        """CPU seconds of all its lives so far, but for their ends."""
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return self.ended
        return self.ended + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    def close(self):
        self.kill()
        for one in (*self.sockets, self.ear):
            one.close()

    def said(self):
        return self.log.read_text(errors="replace").strip()[-1500:]

    def complaints(self):
        """What the log tells of mistakes of the program."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if "panicked" in line or " ERROR " in line]

    def command(self, *words, password=None):
        """(exit code, what it said) of `sarang ...`."""
        done = subprocess.run([self.binary, "--config", str(self.config), *words], input=password and password + "\n", capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def must(self, *words, password=None):
        code, said = self.command(*words, password=password)
        if code:
            raise Failed(f"sarang {' '.join(words)} ended with {code}: {said}")
        return said

    def add(self, *accounts):
        for account in accounts:
            self.must("user", "add", account, "--password-stdin", password=PASSWORD)

    def target(self):
        """Where clients go, trusting the authority that the server has made."""
        said = self.must("trust", "--certificate")
        context = ssl.create_default_context(cadata=said[said.index("-----BEGIN"):])
        return Target(self.sockets[1].getsockname()[1], context)

    def home(self, account):
        return self.data / "homes" / account

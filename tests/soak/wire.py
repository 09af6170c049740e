"""HTTP/1.1 over TLS as the clients of the soak speak it, and the tally of what they asked and were answered."""
import asyncio
import contextlib
import os
import ssl
import time
from array import array
from collections import Counter, defaultdict
from typing import NamedTuple

PATIENCE = 90
# docs/operations.md: a connection that was taken in the last moment still has a second to say what it wants.
LAST_WORD = 0.8
# Processes that wait for each core, beyond which other programs keep the server from its work.
OVERLOAD = 4
BROKEN = (OSError, EOFError, ssl.SSLError, asyncio.IncompleteReadError)
MOST_FINDINGS = 200


class Refused(Exception):
    """An answer, or none, that the client did not expect. The tally has it."""


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes


def overloaded():
    return os.getloadavg()[0] > OVERLOAD * (os.cpu_count() or 1)


class Tally:
    """Times and statuses by kind of request, how many were repeated, and what should not have been."""

    def __init__(self, is_overloaded=overloaded):
        self.is_overloaded, self.busy = is_overloaded, 0
        self.times, self.statuses = defaultdict(lambda: array("f")), defaultdict(Counter)
        self.repeated, self.cut, self.findings, self.found = Counter(), 0, [], 0

    def note(self, kind, status, seconds):
        self.times[kind].append(seconds)
        self.statuses[kind][status] += 1

    def find(self, sentence):
        self.found += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(sentence)

    def take(self):
        """The findings since the last time, mistakes of the server first."""
        findings, more = sorted(self.findings, key=lambda found: " -> 5" not in found), self.found - len(self.findings)
        self.findings, self.found = [], 0
        return findings + ([f"and {more} more"] if more else [])

    @property
    def requests(self):
        return sum(len(times) for times in self.times.values())


class Target(NamedTuple):
    """Where the server is; without a context the connection is not encrypted."""

    port: int
    context: ssl.SSLContext | None


class Line:
    """One client's connection: kept between requests, opened anew where it has ended."""

    def __init__(self, target, tally, address="127.0.0.1"):
        self.target, self.tally, self.address = target, tally, address
        self.reader = self.writer = None
        self.begun, self.opening, self.sent = False, 0.0, None

    def is_open(self):
        """Whether there is a connection that the server has not ended, as far as can be seen from here."""
        if self.writer and (self.reader.at_eof() or self.writer.transport.is_closing()):
            self.close()
        return self.writer is not None

    async def open(self):
        self.opening = time.monotonic()
        name = "localhost" if self.target.context else None
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.target.port, ssl=self.target.context, server_hostname=name, local_addr=(self.address, 0))

    def close(self):
        """Ends it at once, without a farewell."""
        if self.writer:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def ask(self, kind, method, path, body=b"", headers=None, wanted=(200,), pause=0.0):
        """The answer, whose status is one of those wanted. With a pause the second half of the body comes that much later."""
        began = time.monotonic()
        answer = await self.answered(f"{method} {path}", kind, method, path, body, headers, pause)
        self.tally.note(kind, answer.status, time.monotonic() - began)
        if answer.status == 503 and "retry-after" in answer.headers and self.tally.is_overloaded():
            # A sign-in waits two seconds at most for its password to be verified, which takes a core.
            self.tally.busy += 1
            await asyncio.sleep(int(answer.headers["retry-after"]))
            answer = await self.answered(f"{method} {path}", kind, method, path, body, headers, pause)
        if answer.status not in wanted:
            said = answer.body[:160] if answer.status >= 300 else b""
            self.tally.find(f"{method} {path} -> {answer.status} {said.decode(errors='replace')}")
            raise Refused
        return answer

    async def answered(self, what, kind, *request):
        for turn in (1, 2):
            used = self.is_open()
            self.begun, self.sent = False, None
            try:
                async with asyncio.timeout(PATIENCE):
                    if not used:
                        await self.open()
                    return await self.exchange(*request)
            except TimeoutError:
                error = f"no answer in {PATIENCE} s"
            except BROKEN as broken:
                error = f"{type(broken).__name__} {broken}"
                if turn == 1 and self.may_be_repeated(used):
                    self.close()
                    self.tally.repeated[kind] += 1
                    continue
            self.close()
            self.tally.find(f"{what}: {error} ({'a kept' if used else 'a new'} connection, answer {'begun' if self.begun else 'not begun'})")
            raise Refused

    def may_be_repeated(self, used):
        """A kept connection may end at any time, a new one before anything was asked, or when that took longer than the server promises to wait."""
        return not self.begun and (used or self.sent is None or self.sent - self.opening > LAST_WORD)

    async def exchange(self, method, path, body, headers, pause):
        self.send_head(method, path, len(body), headers)
        if pause and body:
            self.writer.write(body[:len(body) // 2])
            await asyncio.sleep(pause)
            body = body[len(body) // 2:]
        self.writer.write(body)
        await self.writer.drain()
        return await self.read(method)

    def send_head(self, method, path, length, headers):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        if length or method in ("PUT", "POST", "PATCH"):
            lines.append(f"Content-Length: {length}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        self.sent = time.monotonic()

    async def read(self, method):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.begun = True
        status = int(head[0].split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = b""
        if method != "HEAD" and status not in (204, 304):
            body = await self.read_body(headers)
        if headers.get("connection", "").lower() == "close":
            await self.end()
        return Answer(status, headers, body)

    async def read_body(self, headers):
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self.reader.read()
        pieces = []
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            pieces.append((await self.reader.readexactly(size + 2))[:-2])
        await self.reader.readuntil(b"\r\n")
        return b"".join(pieces)

    async def end(self):
        """Ends it in good order."""
        if self.writer:
            self.writer.close()
            with contextlib.suppress(*BROKEN, TimeoutError):
                async with asyncio.timeout(5):
                    await self.writer.wait_closed()
        self.reader = self.writer = None

    async def cut(self, method, path, body, headers, read=0):
        """Asks on a connection of its own, and ends that amid the body; with `read`, amid the answer."""
        line = Line(self.target, self.tally, self.address)
        self.tally.cut += 1
        with contextlib.suppress(*BROKEN, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await line.open()
                line.send_head(method, path, len(body), headers)
                line.writer.write(body[:len(body) // 2])
                await line.writer.drain()
                if read:
                    await line.reader.readexactly(read)
        line.close()

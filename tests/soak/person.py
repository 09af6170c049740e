"""One client of the soak: a folder of its own and a model of what is in it, held against what the server shows."""
import asyncio
import base64
import itertools
import json
import random
import time
import urllib.parse
import xml.etree.ElementTree as ET
from typing import NamedTuple

from wire import Line, Refused

PASSWORD = "correct horse 7 staple"
# Seconds after which a session's bearer, good for 15 minutes, is exchanged.
BEARER = 600
XML = {"Content-Type": "application/xml"}
JSON = {"Content-Type": "application/json"}
LOOK = b'<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:getcontentlength/><D:getetag/></D:prop></D:propfind>'
SIZES = (0, 1, 700, 4096, 4096, 15_000, 15_000, 40_000, 120_000, 400_000)
SEEDS = itertools.count(1)


class File(NamedTuple):
    """What a file holds, told by a number, so that nobody has to keep it."""

    seed: int
    size: int

    @property
    def content(self):
        return random.Random(self.seed).randbytes(self.size)


def url(path, front="/dav/"):
    return front + urllib.parse.quote(path)


def basic(account, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{account}:{password}".encode()).decode()}


class Account(NamedTuple):
    """A name, and the network that all its clients are in: the server verifies a password anew for each network, and bounds how many wait for that."""

    name: str
    address: str


class Pace:
    """How long everybody rests between requests, so that all of them together take about half a core."""

    SHARE, LEAST, MOST, LOOK = 0.5, 0.5, 6.0, 2.0

    def __init__(self):
        self.pause, self.cpu, self.at = 1.0, time.process_time(), time.monotonic()

    async def keep(self):
        while True:
            await asyncio.sleep(self.LOOK)
            cpu, now = time.process_time(), time.monotonic()
            share, self.cpu, self.at = (cpu - self.cpu) / (now - self.at), cpu, now
            factor = 1.15 if share > self.SHARE else 0.95 if share < 0.8 * self.SHARE else 1
            self.pause = min(max(self.pause * factor, self.LEAST), self.MOST)


class Person:
    """Asks for one thing at a time, so what its folder holds is known exactly."""

    def __init__(self, number, account, friend, target, tally, pace, seed):
        self.random, self.pace, self.tally = random.Random(seed * 1009 + number), pace, tally
        self.number, self.account, self.friend, self.top = number, account.name, friend.name, f"person {number}"
        self.line, self.guest = Line(target, tally, account.address), Line(target, tally, friend.address)
        # A third each sign in with the password, an app password and a session.
        self.way, self.signed, self.until = ("password", "app password", "session")[number % 3], None, 0
        self.files, self.folders, self.names, self.checks = {}, set(), itertools.count(1), 0

    async def begin(self):
        """Makes the folders."""
        self.folders = {f"{self.top}/one of {self.number}", f"{self.top}/two of {self.number}"}
        for folder in (self.top, *sorted(self.folders)):
            await self.ask("MKCOL", "MKCOL", url(folder), wanted=(201,))

    async def run(self, deeds, going, gate):
        """Does one thing after another until all is over, and looks after each restart whether everything is there."""
        await self.rest(2)
        while not going.over:
            if self.checks < going.restarts:
                now = going.restarts
                async with gate:
                    await self.check()
                self.checks = now
            deed = self.random.choices(list(deeds), deeds.values())[0]
            try:
                await deed(self)
            except Refused:
                # The tally has it; going on at once would only bring the same again.
                await self.rest(5)
            await self.rest()

    async def rest(self, times=1.0):
        await asyncio.sleep(min(self.random.expovariate(1.0), 4) * times * self.pace.pause)

    def leave(self):
        self.line.close()

    async def ask(self, kind, method, path, body=b"", headers=None, wanted=(200,), pause=0.0):
        signed = await self.credentials()
        return await self.line.ask(kind, method, path, body, {**signed, **(headers or {})}, wanted, pause)

    async def credentials(self):
        now = time.monotonic()
        if self.signed is None or now > self.until:
            self.signed, self.until = await self.sign_in(), now + BEARER
        return self.signed

    async def sign_in(self):
        if self.way == "session":
            return await self.log_in()
        if self.way == "app password" and self.signed is None:
            return basic(self.account, (await self.app_password())["password"])
        return self.signed or basic(self.account, PASSWORD)

    async def log_in(self):
        body = json.dumps({"name": self.account, "password": PASSWORD, "bearer": True}).encode()
        answer = await self.line.ask("login", "POST", "/api/v1/login", body, JSON)
        return {"Authorization": "Bearer " + json.loads(answer.body)["bearer"]["token"]}

    async def app_password(self):
        headers = {**basic(self.account, PASSWORD), **JSON}
        answer = await self.line.ask("app password", "POST", "/api/v1/app-passwords", json.dumps({"name": self.top}).encode(), headers, (201,))
        return json.loads(answer.body)

    def made(self):
        return File(next(SEEDS), self.random.choice(SIZES))

    def fresh(self, stem="file é"):
        return f"{self.random.choice([self.top, *sorted(self.folders)])}/{stem} {next(self.names)}.bin"

    def some(self):
        return self.random.choice(sorted(self.files)) if self.files else None

    async def listed(self, folder):
        """{path: size, None of a folder} of what PROPFIND shows in it."""
        answer = await self.ask("PROPFIND", "PROPFIND", url(folder) + "/", LOOK, {**XML, "Depth": "1"}, (207,))
        found = {}
        for response in ET.fromstring(answer.body).iter("{DAV:}response"):
            path = urllib.parse.unquote(response.findtext("{DAV:}href")).removeprefix("/dav/").rstrip("/")
            is_folder = response.find(".//{DAV:}collection") is not None
            found[path] = None if is_folder else int(response.findtext(".//{DAV:}getcontentlength"))
        found.pop(folder, None)
        return found

    async def judge_folder(self, folder):
        """Whether it shows what it is known to hold, and nothing else."""
        found = await self.listed(folder)
        wanted = {path: file.size for path, file in self.files.items() if path.rpartition("/")[0] == folder}
        wanted |= {path: None for path in self.folders if folder == self.top}
        for path in sorted(found.keys() | wanted.keys()):
            if path not in found:
                self.tally.find(f"lost: {self.account}'s {path} is not listed")
            elif path not in wanted:
                self.tally.find(f"came from nowhere: {self.account}'s {path}")
            elif found[path] != wanted[path]:
                self.tally.find(f"torn: {self.account}'s {path} is listed with {found[path]} bytes, not {wanted[path]}")

    async def judge_file(self, path, file=None, ask=None, kind="GET", target=None):
        """Whether it holds what was last acknowledged."""
        file = file or self.files[path]
        answer = await (ask or self.ask)(kind, "GET", target or url(path))
        if answer.body != file.content:
            self.tally.find(f"torn: {self.account}'s {path} holds {len(answer.body)} bytes that are not the {file.size} last acknowledged")

    async def check(self):
        """Everything that was acknowledged is there, and nothing else."""
        steps = [self.judge_folder(folder) for folder in (self.top, *sorted(self.folders))]
        steps += [self.judge_file(path) for path in sorted(self.files)]
        for step in steps:
            try:
                await step
            except Refused:
                continue

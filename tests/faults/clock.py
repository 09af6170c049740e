"""A clock that jumps a day forth and back, while the server runs and between its runs: nothing acknowledged is lost, locks hold, sessions stand or end,
no entity tag comes twice for different contents, and no former content goes that should be kept."""
import email.utils
import glob
import json
import os
import pathlib
import random
import time
from collections import Counter

from check import Seen, check
from client import Client, LOCK, digest
from kill import plant
from server import Server
from workload import ACCOUNT, PASSWORD, Cut, Site

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")
DAY = 86_400
JUMPS = (DAY, 0, -DAY, 0)


def run(bench):
    if not (library := next((found for pattern in LIBRARIES for found in glob.glob(pattern)), None)):
        return bench.skip("needs libfaketime")
    seen, findings, moments = Seen(), [], random.Random(bench.seed)
    folder = bench.folder()
    with bench.using(Server(bench.binary, folder)) as server:
        clock = Clock(folder / "offset")
        clock.set(0)
        site = Site(server, bench.seed)
        server.kill()
        server.environment = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(clock.file), "FAKETIME_NO_CACHE": "1",
                              "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        server.start()
        watch = Watch(server)
        for n in range(bench.count(1, 5) * len(JUMPS)):
            bench.in_time()
            offset = JUMPS[n % len(JUMPS)]
            findings += [f"jump {n} to {offset} s: {f}" for f in watch.jump(clock, offset)]
            site.strike(moments.uniform(0.1, 0.3), Cut(acks_after_count=True), server.kill)
            findings += [f"jump {n} to {offset} s, restarted: {f}" for f in watch.judge(check(site, seen))]
        findings += plant(site) + watch.plant()
    return (f"{n + 1} jumps, {site.counts.total()} changes acknowledged, {len(watch.tags)} entity tags, {len(watch.contents)} former contents kept, "
            f"{watch.sessions[200]} sessions stand, {watch.sessions[401]} ended, {watch.ended} locks ended with a restart"), findings, site.counts + Counter(strikes=n + 1)


class Clock:
    """What the server takes for the time of day; its monotonic clock goes on as it does."""

    def __init__(self, file):
        self.file = file

    def set(self, offset):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{offset:+d}\n")
        os.replace(fresh, self.file)


class Watch:
    """A file that is saved at every time, a lock and a session, and what came of them."""

    def __init__(self, server):
        self.server, self.tags, self.contents, self.last, self.sessions, self.ended = server, {}, [], None, Counter(), 0

    def client(self, sign=True):
        return Client(self.server.port, *((ACCOUNT, PASSWORD) if sign else (None, None)))

    def jump(self, clock, offset):
        """What was begun before the jump goes on after it."""
        client, findings = self.client(), []
        session, held = self.login(), f"held {len(self.contents)}.bin"
        token = client.ask("LOCK", held, LOCK, Depth="0", Timeout="Second-3600", Content_Type="application/xml")[1]["Lock-Token"]
        clock.set(offset)
        for _ in range(3):
            findings += self.save(client)
        findings += self.tells(client, offset)
        findings += [] if (status := client.put(held, b"past the lock")) == 423 else [f"the lock does not hold: PUT -> {status}"]
        findings += [] if (status := client.put(held, b"held", If=f"({token})")) in (201, 204) else [f"the lock's token -> {status}"]
        bare = self.client(sign=False)
        self.sessions[stands := bare.call("GET", "/api/v1/me", Cookie=session)[0]] += 1
        bare.close()
        client.close()
        return findings + ([] if stands in (200, 401) else [f"the session -> {stands}"])

    def login(self):
        bare = self.client(sign=False)
        body = json.dumps({"name": ACCOUNT, "password": PASSWORD}).encode()
        status, headers, said = bare.call("POST", "/api/v1/login", body, Content_Type="application/json")
        bare.close()
        if status != 200:
            raise RuntimeError(f"login -> {status} {said[:200]!r}")
        return headers["Set-Cookie"].split(";")[0]

    def save(self, client):
        """The same length every time, so that only times tell contents apart."""
        content = os.urandom(1000)
        if (status := client.put("sa ved.bin", content)) not in (201, 204):
            return [f"PUT -> {status}"]
        self.last = digest(content)
        self.contents.append(self.last)
        tag = client.ask("HEAD", "sa ved.bin")[1]["ETag"]
        before = self.tags.setdefault(tag, self.last)
        return [] if before == self.last else [f"entity tag {tag} came twice"]

    def tells(self, client, offset):
        """Without this the test would see nothing."""
        told = client.ask("HEAD", "sa ved.bin")[1]["Last-Modified"]
        away = email.utils.parsedate_to_datetime(told).timestamp() - time.time() - offset
        return [] if abs(away) < 120 else [f"blind: the server is {away:.0f} s off the clock it should have"]

    def judge(self, findings):
        """A lock that was given at another time may end with a restart, for only the time of day is kept of it; nothing else may."""
        rest = [f for f in findings if not f.startswith("lock lost")]
        self.ended += len(findings) - len(rest)
        return rest + self.kept()

    def kept(self):
        client, there = self.client(), set()
        live = client.content("sa ved.bin")
        client.close()
        for folder, _, names in os.walk(self.server.home(ACCOUNT) / ".sarang/versions"):
            there.update(digest(pathlib.Path(folder, name).read_bytes()) for name in names)
        lost = set(self.contents) - there - {live}
        return ([] if live == self.last else [f"saved last: {self.last[:8]}, there is {live[:8]}"]) + [f"former content lost: {name[:8]}" for name in lost]

    def plant(self):
        """A former content and the latest disappear behind the server's back: `kept` must say so."""
        self.contents.append("0" * 64)
        self.last = "1" * 64
        return [] if len(self.kept()) == 2 else [f"planted and not found: {self.kept()}"]

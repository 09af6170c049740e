"""A home goes while clients save into it, as when its disk is unmounted, and comes back: meanwhile it answers 503 and nothing is made in its place."""
import os
import random
import threading
import time
from collections import Counter

from actors import OTHER, OTHER_PASSWORD
from check import staging
from client import BROKEN, Client, digest
from server import Server, too_slow
from workload import ACCOUNT, PASSWORD

FILES = 12
NOTICED = 2.5  # seconds until every answer is a refusal
HEALS = 3.0
WAYS = ("it runs on", "it is killed and started again", "it is stopped and started again")


def run(bench):
    findings, counts, rounds = [], Counter(), bench.count(4, 24)
    chance = random.Random(bench.seed)
    with bench.using(Server(bench.binary, bench.folder())) as server:
        for account, password in ((ACCOUNT, PASSWORD), (OTHER, OTHER_PASSWORD)):
            server.add(account, password)
        server.start()
        savers = [Saver(server, ACCOUNT, PASSWORD, bench.seed), Saver(server, OTHER, OTHER_PASSWORD, bench.seed + 1)]
        for n in range(rounds):
            bench.in_time()
            way = WAYS[n % len(WAYS)]
            found = Absence(server, savers, way, has_mount_point=chance.random() < 0.6).strike(chance)
            findings += [f"round {n}, {way}: {f}" for f in found]
        for saver in savers:
            counts += saver.counts
        server.kill()
    if not counts["503"]:
        findings.append("blind: nothing was ever refused")
    return f"{rounds} times: {counts['PUT']} changes acknowledged, {counts['503']} requests refused while the home was gone", findings, counts + Counter(strikes=rounds)


class Saver(threading.Thread):
    """Saves files of one account until told to stop, and remembers what was acknowledged."""

    def __init__(self, server, account, password, seed):
        super().__init__(daemon=True)
        self.server, self.account, self.password, self.chance = server, account, password, random.Random(seed)
        self.files, self.pending, self.counts, self.answers = {}, {}, Counter(), []
        self.go_on = threading.Event()
        self.idle = threading.Event()
        self.idle.set()
        self.start()

    def run(self):
        while self.go_on.wait():
            self.idle.clear()
            client = Client(self.server.port, self.account, self.password)
            try:
                while self.go_on.is_set():
                    self.save(client)
            except BROKEN:
                time.sleep(0.02)
            client.close()
            self.idle.set()

    def save(self, client):
        name, content = f"f {self.chance.randrange(FILES)}", os.urandom(self.chance.choice([0, 900, 40_000]))
        self.pending.setdefault(name, set()).add(digest(content))
        status = client.put(name, content)
        self.answers.append((time.monotonic(), status))
        if status in (201, 204):
            self.files[name], self.pending[name] = digest(content), set()
            self.counts["PUT"] += 1
        else:
            self.pending[name].discard(digest(content))
            self.counts[str(status)] += 1
            time.sleep(0.01)

    def rest(self):
        self.go_on.clear()
        self.idle.wait(30)

    def differences(self):
        """What is not as it was acknowledged; what was in flight may be there or not, and is known afterwards."""
        client, found = Client(self.server.port, self.account, self.password), []
        for name in sorted({*self.files, *self.pending}):
            status, content = client.get(name)
            there = digest(content) if status == 200 else f"GET {status}"
            flying = self.pending.get(name, set())
            if there != self.files.get(name, "GET 404") and there not in flying:
                found.append(f"{self.account}: {name} is {there[:8]}, not {str(self.files.get(name))[:8]}")
            self.files[name], self.pending[name] = there, set()
        client.close()
        return found


class Absence:
    """One time without the home."""

    def __init__(self, server, savers, way, has_mount_point):
        self.server, self.savers, self.way, self.has_mount_point = server, savers, way, has_mount_point
        self.home, self.away = server.home(ACCOUNT), server.folder / "unmounted"
        self.findings = []

    def strike(self, chance):
        for saver in self.savers:
            saver.answers.clear()
            saver.go_on.set()
        time.sleep(chance.uniform(0.2, 0.6))
        self.leave()
        if self.way != WAYS[0]:
            self.restart()
        time.sleep(NOTICED + 0.7)
        self.look()
        self.come_back()
        for saver in self.savers:
            saver.rest()
            self.findings += saver.differences()
        return self.findings + staging(self.home)

    def leave(self):
        os.rename(self.home, self.away)
        if self.has_mount_point:
            self.home.mkdir()
        self.left = time.monotonic()

    def restart(self):
        """The server ends and starts while the home is gone; the command that looks over a stopped server names it."""
        for saver in self.savers:
            saver.rest()
        if self.way == WAYS[1]:
            self.server.kill()
        elif (code := self.server.stop()) != 0:
            self.findings.append(f"SIGTERM ended it with {code}")
        check = self.server.command("check")
        said = check.communicate(timeout=60)[0].decode(errors="replace")
        if check.returncode == 0 or ACCOUNT not in said:
            self.findings.append(f"sarang check says nothing of it ({check.returncode}): {said[-200:]}")
        self.findings += too_slow(self.server.start())
        for saver in self.savers:
            saver.go_on.set()

    def look(self):
        """Whoever looks is refused, too: a sync client would delete what it no longer finds."""
        for account, password, wanted in ((ACCOUNT, PASSWORD, 503), (OTHER, OTHER_PASSWORD, 207)):
            client = Client(self.server.port, account, password)
            status = client.ask("PROPFIND", "", Depth="1")[0]
            client.close()
            if status != wanted:
                self.findings.append(f"PROPFIND of {account} -> {status}")

    def come_back(self):
        gone, back = self.left + NOTICED, time.monotonic()
        (refused, served) = (saver.answers[:] for saver in self.savers)
        late = Counter(status for at, status in refused if gone < at < back and status != 503)
        other = Counter(status for _, status in served if status not in (201, 204))
        self.findings += [f"{ACCOUNT} was answered {dict(late)} without a home"] if late else []
        self.findings += [f"{OTHER} was answered {dict(other)}"] if other else []
        if self.has_mount_point and (made := os.listdir(self.home)):
            self.findings.append(f"made in the place of the home: {made}")
        if self.home.exists():
            os.rename(self.home, self.server.folder / f"made {self.left}")
            self.findings += [] if self.has_mount_point else ["a home was made anew"]
        os.rename(self.away, self.home)
        until = time.monotonic() + HEALS
        while not any(at > back and status in (201, 204) for at, status in self.savers[0].answers):
            if time.monotonic() > until:
                self.findings.append(f"it is there again and {ACCOUNT} still cannot save")
                break
            time.sleep(0.02)

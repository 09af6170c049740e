"""Bits flipped in the state store's files while nothing runs: the server starts with what it had, or says what it went back to, or refuses and says what
to run, which then works. Files stay as they are, nobody gets another account's, and no program ends by a panic."""
import hashlib
import random
import shutil
from collections import Counter

import api
from client import Client
from server import Server
from workload import ACCOUNT, PASSWORD

PEOPLE = {ACCOUNT: PASSWORD, "otto": "another staple 8", "zoe": "third staple 99"}
# The one damage that cannot be told from what a crash leaves: the tag with which the only record of the journal begins.
JOURNAL_TAG = range(8192, 8200)
SAYS = ("THE STATE STORE WAS DAMAGED", "THE JOURNAL OF THE STATE STORE WAS DAMAGED", "the journal of a replaced state store is set aside",
        "the last record of the journal is not whole")
REMEDY = "sarang store restore"


def run(bench):
    flips, findings, outcomes, chosen = bench.count(24, 400), [], Counter(), random.Random(bench.seed)
    folder = bench.folder()
    with bench.using(Server(bench.binary, folder)) as server:
        furnish(server)
        victim = Victim(server, folder / "good")
        for n in range(flips):
            bench.in_time()
            where = victim.flip(chosen)
            outcome, found = victim.start()
            outcomes[outcome] += 1
            findings += [f"flip {n} ({where}): {f}" for f in found]
        findings += victim.plant()
    told = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    return f"{flips} times: {told}", findings, Counter(strikes=flips, account=flips, share=flips)


def furnish(server):
    """Accounts with a file each, shares and locks, partly in the journal only, and an export of what is older."""
    for name, password in PEOPLE.items():
        server.add(name, password)
    server.start()
    for name, password in PEOPLE.items():
        client = Client(server.port, name, password)
        client.put("mine.txt", f"of {name}".encode())
        client.put("given.txt", b"given away")
        client.close()
    client = Client(server.port, ACCOUNT, PASSWORD)
    api.share(client, "given.txt", "otto")
    client.close()
    if server.stop() != 0:
        raise RuntimeError("SIGTERM")
    export(server)
    server.start()
    client = Client(server.port, "zoe", PEOPLE["zoe"])
    api.share(client, "given.txt", "otto")
    client.close()
    server.kill()


def export(server):
    """What a server makes of its state once a day; taken from a backup, which has the same, rather than waited for."""
    aside = server.folder / "backup"
    said, _ = (process := server.command("backup", str(aside))).communicate(timeout=60)
    if process.returncode != 0:
        raise RuntimeError(f"backup: {said[-300:]!r}")
    exports = server.data / "state/exports"
    exports.mkdir(exist_ok=True)
    shutil.copy(next(aside.glob("*/state.jsonl")), exports / "state-2026-01-01T000000Z.jsonl")


def contents(folder):
    """The files of all accounts, with their hashes."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((folder / "homes").rglob("*")) if path.is_file() and ".sarang" not in path.parts}


def seen_by_all(port):
    """What each account sees: its file, what it shares, what is shared with it."""
    seen = {}
    for name, password in PEOPLE.items():
        client = Client(port, name, password)
        status, body = client.get("mine.txt")
        seen[name] = (status, body if status == 200 else b"", status == 200 and tuple(sorted(api.shares(client).values())),
                      client.get("Shared with me/given.txt")[0])
        client.close()
    return seen


class Victim:
    """A data folder whose state is damaged and brought back, again and again; its files stay, for shares are bound to them."""

    def __init__(self, server, good):
        self.server, self.good, self.state = server, good, server.data / "state"
        shutil.copytree(self.state, good)
        self.before = contents(server.data)
        server.start()
        self.whole = seen_by_all(server.port)

    def heal(self):
        self.server.kill()
        shutil.rmtree(self.state)
        shutil.copytree(self.good, self.state)
        self.server.log.write_bytes(b"")
        self.untold = False

    def flip(self, chosen):
        """One to four bits of one file of the state store; says where."""
        self.heal()
        files = sorted(p for p in self.state.rglob("*") if p.is_file() and p.stat().st_size and "exports" not in p.parts)
        file = chosen.choice(files)
        content = bytearray(file.read_bytes())
        written = [at for at, byte in enumerate(content) if byte] or [0]
        places = [chosen.choice(written) for _ in range(chosen.randrange(1, 5))]
        for at in places:
            content[at] ^= 1 << chosen.randrange(8)
        file.write_bytes(content)
        self.untold = file.name == "journal" and any(at in JOURNAL_TAG for at in places)
        if alone := chosen.random() < 0.3:
            shutil.rmtree(self.state / "exports")
        return f"{file.relative_to(self.server.data)} at {places}{', no exports' if alone else ''}"

    def start(self):
        """(outcome, findings)"""
        outcome = "recovered"
        try:
            self.server.start(patience=15)
        except RuntimeError as refused:
            if (found := self.remedy(str(refused))):
                return "refused", found
            outcome = "restored by command"
        findings = self.judge(outcome)
        same = seen_by_all(self.server.port) == self.whole
        return ("as before" if outcome == "recovered" and same else outcome), findings

    def remedy(self, said):
        """Refusing is right when it says what to run, and that works; returns why it is not."""
        if self.server.process.returncode is None or self.server.process.returncode < 0 or self.server.process.returncode == 101:
            return [f"ended by {self.server.process.returncode}: {said[-300:]}"]
        if REMEDY not in said:
            return [f"refuses and does not say what to run: {said[-300:]}"]
        export = max((self.good / "exports").iterdir())
        answer, _ = (process := self.server.command("store", "restore", str(export))).communicate(timeout=60)
        if process.returncode != 0:
            return [f"store restore: {answer.decode(errors='replace')[-300:]}"]
        self.server.start()
        return []

    def judge(self, outcome):
        said, seen, findings = self.server.said(), seen_by_all(self.server.port), []
        for name, (status, body, _, _) in seen.items():
            if status == 200 and body != f"of {name}".encode():
                findings.append(f"{name} got {body[:40]!r}")
            if status not in (200, 401):
                findings.append(f"{name} got {status}")
        if seen != self.whole and outcome == "recovered" and not self.untold and not any(word in said for word in SAYS):
            findings.append(f"not as before, and nothing said: {seen}")
        if contents(self.server.data) != self.before:
            findings.append("files were changed")
        return findings + ([f"a panic nobody caught: {said[-300:]}"] if self.server.process.poll() is not None else [])

    def plant(self):
        """The judge must see a file of another account, a changed file, and a silent loss."""
        self.heal()
        mine = self.server.home(ACCOUNT) / "mine.txt"
        mine.write_bytes((self.server.home("otto") / "mine.txt").read_bytes())
        self.server.start()
        found = self.judge("recovered")
        wanted = (f"{ACCOUNT} got b'of otto'", "files were changed", "not as before, and nothing said")
        return [f"planted and not found: {w}" for w in wanted if not any(f.startswith(w) for f in found)]

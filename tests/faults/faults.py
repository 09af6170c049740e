#!/usr/bin/env python3
"""Ends the server at random moments under load and checks what is there after the restart.

usage: faults.py kill ROUNDS | cut ROUNDS ext4|xfs | control ROUNDS ext4|xfs      (SARANG_BIN names the server)
kill: SIGKILL.  cut: `xfs_io -x -c shutdown` on a loop-mounted file system: what was not journaled is gone.
Every change acknowledged before the end must be there; the one change in flight of each worker is there whole or not at all.
control: a cut with durability = "relaxed", where acknowledged changes must be found lost, or these checks are blind.
SEED=number repeats a run's choices, not its timing.
"""
import base64, hashlib, http.client, os, pathlib, random, re, shutil, signal, subprocess, sys, tempfile, threading, time, urllib.parse

BIN = os.path.abspath(os.environ["SARANG_BIN"])
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
PASSWORD = "correct horse battery 0"
WORKERS = 4
SIZES = (0, 100, 4096, 4096, 300_000)
LOCK = ('<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
        '<D:owner>faults</D:owner></D:lockinfo>')


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Refused(Exception):
    """An answer that a healthy server does not give."""


class Client:
    """One connection of one account. Fails with OSError or HTTPException when the server dies."""

    def __init__(self, port, account="ana", password=PASSWORD):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.authorization = "Basic " + base64.b64encode(f"{account}:{password}".encode()).decode()

    def ask(self, method, path, body=None, want=(), **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        target = "/dav" + urllib.parse.quote(path)
        self.connection.request(method, target, body, {"Authorization": self.authorization, **headers})
        reply = self.connection.getresponse()
        content = reply.read()
        if want and reply.status not in want:
            raise Refused(f"{method} {path}: {reply.status} {content[:200]!r}")
        return reply, content

    def names(self, folder):
        reply, body = self.ask("PROPFIND", folder, want=(207, 404), Depth="1")
        if reply.status == 404:
            return None
        hrefs = re.findall(rb"<[^<>/]*href[^<>/]*>([^<]*)<", body)
        names = [urllib.parse.unquote(href.decode()).rstrip("/").rsplit("/", 1)[1] for href in hrefs]
        return [name for name in names if name != folder.strip("/")]


class Server:
    """The server process over one data folder."""

    def __init__(self, folder, durability):
        self.folder, self.log = pathlib.Path(folder), None
        self.config = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.config.write(f'data_dir = "{folder}/data"\n\n[server]\nlisten = ["127.0.0.1:0"]\n\n[drive]\ndurability = "{durability}"\n')
        self.config.flush()
        self.process = self.port = None

    def command(self, *arguments, text):
        return subprocess.run([BIN, "--config", self.config.name, *arguments], input=text + "\n", text=True, capture_output=True)

    def start(self):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen([BIN, "--config", self.config.name, "serve"], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", pathlib.Path(self.log.name).read_text())
            if found:
                self.port = int(found[1])
                return
            time.sleep(0.01)
        raise Refused(f"the server does not start: {pathlib.Path(self.log.name).read_text()[-1000:]}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait()


class Worker:
    """Changes one folder; `files` is what must be there, `after` what the change in flight would make of it."""

    def __init__(self, number, with_locks):
        self.folder, self.random = f"/w{number}", random.Random(SEED * 100 + number)
        self.files, self.after, self.locks, self.counter, self.acks, self.odd = {}, None, {}, 0, 0, None
        self.kinds = ["put", "put", "overwrite", "overwrite", "move", "replace", "delete"] + ["lock"] * with_locks

    def run(self, port, ended):
        client = Client(port)
        try:
            while not ended.is_set():
                self.step(client, ended)
        except (OSError, http.client.HTTPException):
            pass
        except Refused as refused:
            if not ended.is_set():
                self.odd = str(refused)

    def fresh(self):
        self.counter += 1
        return f"{self.counter} f%ü.txt"

    def step(self, client, ended):
        """One change: says first what it would make, then asks for it, then takes it for granted if it was acknowledged in time."""
        free = [name for name in self.files if name not in self.locks]
        kind = self.random.choice(self.kinds)
        if len(self.files) > 12:
            kind = "delete"
        if not free and kind != "lock":
            kind = "put"
        name, target, after, token = self.random.choice(free or [None]), self.fresh(), dict(self.files), None
        content = self.random.randbytes(self.random.choice(SIZES))
        if kind in ("put", "overwrite"):
            path = target if kind == "put" else name
            after[path] = digest(content)
            request = ("PUT", path, content, {})
        elif kind in ("move", "replace"):
            target = target if kind == "move" else self.random.choice(free)
            if target == name:
                return
            after[target] = after.pop(name)
            request = ("MOVE", name, None, {"Destination": "/dav" + urllib.parse.quote(f"{self.folder}/{target}")})
        elif kind == "delete":
            if not free:
                return
            del after[name]
            request = ("DELETE", name, None, {})
        else:
            after[target] = digest(b"")
            request = ("LOCK", target, LOCK, {"Depth": "0", "Timeout": "Second-86400"})
        self.after = after
        method, path, body, headers = request
        reply, _ = client.ask(method, f"{self.folder}/{path}", body, want=(200, 201, 204), **headers)
        token = reply.getheader("Lock-Token")
        if ended.is_set():
            return
        self.files, self.after, self.acks = after, None, self.acks + 1
        if method == "LOCK":
            self.locks[path] = token.strip("<>")

    def check(self, client):
        """What is wrong after the restart; then takes what is there as the truth."""
        wrong = [self.odd] if self.odd else []
        found, names = {}, client.names(self.folder)
        if names is None:
            wrong.append(f"{self.folder} is gone")
            client.ask("MKCOL", self.folder, want=(201,))
        for name in names or ():
            reply, content = client.ask("GET", f"{self.folder}/{name}", want=(200,))
            found[name] = digest(content)
        if found not in (self.files, self.after):
            describe = lambda state: {name: value[:6] for name, value in sorted(state.items())}
            wrong.append(f"{self.folder}: found {describe(found)}, want {describe(self.files)}" +
                         (f" or {describe(self.after)}" if self.after else ""))
        for name, token in self.locks.items():
            _, body = client.ask("PROPFIND", f"{self.folder}/{name}", Depth="0")
            if token.encode() not in body:
                wrong.append(f"{self.folder}/{name}: the lock {token} is gone")
        self.clear_locks(client, found)
        self.files, self.after, self.locks, self.odd = found, None, {}, None
        return wrong

    def clear_locks(self, client, found):
        for name in found:
            _, body = client.ask("PROPFIND", f"{self.folder}/{name}", Depth="0")
            for token in re.findall(rb"urn:uuid:[0-9a-fA-F-]{36}", body):
                client.ask("UNLOCK", f"{self.folder}/{name}", Lock_Token=f"<{token.decode()}>")


class Clerk:
    """Changes the password of `ben` by command; the last acknowledged one, or the one in flight, must hold."""

    def __init__(self):
        self.password, self.next, self.counter, self.acks = PASSWORD, None, 0, 0

    def run(self, server, ended):
        while not ended.is_set():
            self.counter += 1
            self.next = f"correct horse battery {self.counter}"
            outcome = server.command("user", "passwd", "ben", "--password-stdin", text=self.next)
            if outcome.returncode != 0 or ended.is_set():
                return
            self.password, self.next, self.acks = self.next, None, self.acks + 1

    def check(self, port):
        for password in filter(None, (self.password, self.next)):
            reply, _ = Client(port, "ben", password).ask("PROPFIND", "/", Depth="0")
            if reply.status == 207:
                self.password, self.next = password, None
                return []
        return ["neither the acknowledged password of ben nor the next one holds"]


class Disk:
    """A loop-mounted file system that can lose its power."""

    def __init__(self, kind, work):
        self.image, self.point = work / "image", work / "disk"
        self.point.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(512 << 20)
        make = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}[kind]
        subprocess.run([*make, str(self.image)], check=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.point)], check=True)

    def unmount(self):
        for _ in range(100):
            if subprocess.run(["umount", str(self.point)], capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        subprocess.run(["umount", "-l", str(self.point)], check=True)

    def cut(self):
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", str(self.point)], check=True)


def one_round(server, workers, clerk, disk, chance):
    """Load, end, restart; what is wrong afterwards."""
    ended = threading.Event()
    threads = [threading.Thread(target=worker.run, args=(server.port, ended)) for worker in workers]
    threads += [threading.Thread(target=clerk.run, args=(server, ended))] if clerk else []
    for thread in threads:
        thread.start()
    time.sleep(chance.uniform(0.05, 0.35))
    ended.set()                              # what is acknowledged from here on binds nobody
    if disk:
        disk.cut()
    server.kill()
    for thread in threads:
        thread.join()
    if disk:
        disk.unmount()
        disk.mount()
    server.start()
    client = Client(server.port)
    wrong = [line for worker in workers for line in worker.check(client)]
    wrong += clerk.check(server.port) if clerk else []
    staged = server.folder / "data/homes/ana/.sarang/tmp"
    left = list(staged.iterdir()) if staged.exists() else []
    return wrong + ([f"{len(left)} uploads lie in the staging folder after the start"] if left else [])


def main():
    mode, rounds = sys.argv[1], int(sys.argv[2])
    kind = sys.argv[3] if mode != "kill" else "kill -9"
    control, chance = mode == "control", random.Random(SEED)
    work = pathlib.Path(tempfile.mkdtemp(prefix="faults-"))
    disk = server = None
    bad = []
    try:
        disk = Disk(kind, work) if mode != "kill" else None
        server = Server(disk.point if disk else work, "relaxed" if control else "strict")
        for name in ("ana", "ben"):
            added = server.command("user", "add", name, "--password-stdin", text=PASSWORD)
            if added.returncode != 0:
                raise Refused(f"user add: {added.stderr}")
        server.start()
        workers = [Worker(number, not control) for number in range(WORKERS)]
        for worker in workers:
            Client(server.port).ask("MKCOL", worker.folder, want=(201,))
        clerk = None if control else Clerk()
        for number in range(rounds):
            os.sync() if control else None
            wrong = one_round(server, workers, clerk, disk, chance)
            if wrong:
                bad.append(number)
                if not control:
                    print(f"round {number}: " + "\n    ".join(wrong), flush=True)
        counts = [worker.acks for worker in workers] + ([clerk.acks] if clerk else [])
        if not all(counts):
            raise Refused(f"somebody never had a change acknowledged: {counts}")
        acks = sum(counts)
    finally:
        if server:
            server.kill()
        if disk:
            disk.unmount()
        shutil.rmtree(work, ignore_errors=True)
    print(f"{mode} {kind}: {rounds} rounds, {acks} acknowledged changes, {len(bad)} rounds with losses (seed {SEED})")
    if control:
        return 0 if len(bad) * 2 > rounds else print("the control run was not caught: these checks are blind") or 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""The pieces of work. Each takes a Target, does its work and returns a Figure; setting up is not measured."""
import base64
import http.client
import os
import pathlib
import re
import subprocess
import threading
import time
import urllib.parse
from dataclasses import asdict, dataclass, field

STAT = ('<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:getcontentlength/>'
        '<D:getlastmodified/><D:getetag/><D:creationdate/></D:prop></D:propfind>')
LOCK = ('<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
        '<D:owner>bench</D:owner></D:lockinfo>')
XML = {"Content-Type": "application/xml"}


@dataclass
class Figure:
    """Operations (or megabytes) a second, and microseconds of the server's CPU for each; more figures in `also`."""
    rate: float
    unit: str
    cpu_us: float | None
    also: dict = field(default_factory=dict)

    def plain(self):
        return asdict(self)


class Target:
    """A server under work: everything happens in one folder of it, which `close` deletes."""

    def __init__(self, url, user, password, processes, files=None, scratch=None, megabytes=512):
        self.base = urllib.parse.urlsplit(url if url.endswith("/") else url + "/")
        self.login, self.processes, self.scratch, self.megabytes = f"{user}:{password}", processes, pathlib.Path(scratch), megabytes
        self.sign = "Basic " + base64.b64encode(self.login.encode()).decode()
        name = f"bench-{time.time_ns()}"
        self.path = f"{self.base.path}{name}/"
        self.url = f"{self.origin}{self.path}"
        self.files = files / name if files else None
        self.must("MKCOL", "", (201,))

    @property
    def origin(self):
        return f"{self.base.scheme}://{self.base.netloc}"

    def connect(self):
        kind = http.client.HTTPSConnection if self.base.scheme == "https" else http.client.HTTPConnection
        return kind(self.base.netloc, timeout=600)

    def ask(self, method, name, body=None, connection=None, **headers):
        """(status, headers, body)"""
        own = connection or self.connect()
        own.request(method, self.path + name, body, {k.replace("_", "-"): v for k, v in headers.items()} | {"Authorization": self.sign})
        answer = own.getresponse()
        content = answer.read()
        if connection is None:
            own.close()
        return answer.status, answer.headers, content

    def must(self, method, name, good, *more, **headers):
        status, fields, content = self.ask(method, name, *more, **headers)
        if status not in good:
            raise RuntimeError(f"{method} {name} -> {status} {content[:200]!r}")
        return fields, content

    def put(self, name, content, connection=None):
        self.must("PUT", name, (200, 201, 204), content, connection)

    def there(self, name):
        return self.ask("PROPFIND", name, STAT, Depth="0", **XML)[0] == 207

    def folder(self, count):
        """The name of a folder with so many small files; written on disk where that is known, else by PUT."""
        name = f"d{count}"
        if self.there(name + "/"):
            return name
        self.must("MKCOL", name + "/", (201,))
        names = [f"file-{n:06d}.txt" for n in range(count)]
        if self.files and (self.files / name).is_dir():
            for n, file in enumerate(names):
                (self.files / name / file).write_bytes(b"x" * (n % 97))
            return name
        each_of(8, names, self.connect, lambda connection, file: self.put(f"{name}/{file}", b"x" * (len(file) % 97), connection))
        return name

    def big(self):
        """A large file on this machine."""
        path = self.scratch / "big.bin"
        if not path.exists():
            block = os.urandom(1 << 20)
            with open(path, "wb") as file:
                for n in range(self.megabytes):
                    file.write(block[n % 7:] + block[:n % 7])
        return path

    def measure(self, count, unit, work, **also):
        used, began = self.processes.cpu(), time.monotonic()
        work()
        took = time.monotonic() - began
        return Figure(count / took, unit, self.cpu_each(used, count), also)

    def cpu_each(self, before, count):
        return None if before is None else (self.processes.cpu() - before) / count * 1e6

    def curl(self, *arguments):
        subprocess.run(["curl", "-s", "-f", "-u", self.login, "-o", os.devnull, *arguments], check=True)

    def wrk(self, script, connections=16, seconds=4):
        """Requests a second by wrk; more than one failure in a thousand spoils the figure."""
        file = self.scratch / "work.lua"
        file.write_text(script)
        used = self.processes.cpu()
        said = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", f"Authorization: {self.sign}", "-s", str(file), self.origin],
                              capture_output=True, text=True).stdout
        done = sum(map(int, re.findall(r"(\d+) requests in", said)))
        bad = sum(map(int, re.findall(r"(?:Non-2xx or 3xx responses: |connect |read |write )(\d+)", said)))
        if done == 0 or bad > done / 1000:
            raise RuntimeError(f"wrk: {done} requests, {bad} failed: {said[-300:]}")
        return Figure(done / seconds, "op/s", self.cpu_each(used, done))

    def close(self):
        self.ask("DELETE", "")


def each_of(threads, items, connect, act):
    """Does `act` with every item, over so many connections."""
    failures = []

    def some(part):
        connection = connect()
        try:
            for item in part:
                act(connection, item)
        except Exception as failure:
            failures.append(failure)
        finally:
            connection.close()

    running = [threading.Thread(target=some, args=(items[n::threads],)) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        raise failures[0]


def get4k(t):
    """GET of a file of 4 KiB."""
    t.put("f4k.bin", os.urandom(4096))
    return t.wrk(f'wrk.path="{t.path}f4k.bin"')


def stat(t):
    """PROPFIND Depth 0 of a file: what a mounted drive asks most."""
    t.put("f4k.bin", os.urandom(4096))
    return t.wrk(f'''wrk.method="PROPFIND" wrk.path="{t.path}f4k.bin" wrk.headers["Depth"]="0"
wrk.headers["Content-Type"]="application/xml" wrk.body='{STAT}' ''')


def put4k(t):
    """PUT of new files of 4 KiB over 8 connections."""
    name = f"put{time.time_ns()}"
    t.must("MKCOL", name + "/", (201,))
    return t.wrk(f'''local n=0
wrk.method="PUT" wrk.body=string.rep("x",4096)
request=function() n=n+1 return wrk.format(nil,"{t.path}{name}/"..n..".bin") end''', connections=8)


def over4k(t):
    """PUT of 4 KiB over files that are there, with another content each time, over 8 connections: what a version costs beside put4k."""
    name = f"over{time.time_ns()}"
    t.must("MKCOL", name + "/", (201,))
    script = f'''local n=0
local body=string.rep("x",4088)
wrk.method="PUT"
request=function() n=n+1 return wrk.format(nil,"{t.path}{name}/"..(n%200)..".bin",nil,body..string.format("%08d",n)) end'''
    t.wrk(script, connections=8, seconds=1)
    return t.wrk(script, connections=8)


def range64k(t):
    """GET of 64 KiB anywhere in a large file."""
    t.curl("-T", str(t.big()), t.url + "big.bin")
    last = t.big().stat().st_size - 65536
    return t.wrk(f'''math.randomseed(7)
request=function() local s=math.random(0,{last}) wrk.headers["Range"]="bytes="..s.."-"..(s+65535)
return wrk.format("GET","{t.path}big.bin") end''')


def getbig(t):
    """GET of a large file, three times."""
    t.curl("-T", str(t.big()), t.url + "big.bin")
    t.curl(t.url + "big.bin")
    return t.measure(t.big().stat().st_size / 1e6 * 3, "MB/s", lambda: [t.curl(t.url + "big.bin") for _ in range(3)])


def putbig(t):
    """PUT of a large file over itself, three times."""
    t.curl("-T", str(t.big()), t.url + "up.bin")
    return t.measure(t.big().stat().st_size / 1e6 * 3, "MB/s", lambda: [t.curl("-T", str(t.big()), t.url + "up.bin") for _ in range(3)])


def list10k(t):
    """PROPFIND Depth 1 of a folder of 10,000 files, for each entry."""
    return listing(t, 10_000)


def list100k(t):
    """PROPFIND Depth 1 of a folder of 100,000 files, for each entry."""
    return listing(t, 100_000)


def listing(t, count):
    name, connection = t.folder(count) + "/", t.connect()

    def once():
        _, body = t.must("PROPFIND", name, (207,), STAT, connection, Depth="1", **XML)
        if (got := len(re.findall(rb"</(?:\w+:)?response>", body))) < count:
            raise RuntimeError(f"PROPFIND listed {got} of {count}")
        return body

    size = len(once())
    t.processes.reset_peak()
    base = t.processes.rss()
    rounds = max(2, min(20, 20_000 // count))
    figure = t.measure(count * rounds, "entry/s", lambda: [once() for _ in range(rounds)], bytes_each=size / count)
    connection.close()
    if base is not None:
        figure.also |= {"rss_mib": base / 2**20, "peak_mib": t.processes.rss(peak=True) / 2**20}
    return figure


def move(t):
    """MOVE of a file there and back on one connection."""
    t.put("m0.bin", b"x" * 4096)
    connection = t.connect()

    def all_of_it():
        for n in range(500):
            t.must("MOVE", f"m{n % 2}.bin", (201, 204), None, connection, Destination=f"{t.url}m{1 - n % 2}.bin")

    return t.measure(500, "op/s", all_of_it)


def copytree(t):
    """COPY of a folder of 1,000 files, for each file."""
    name = t.folder(1000)
    t.ask("DELETE", "copied/")
    return t.measure(1000, "file/s", lambda: t.must("COPY", name + "/", (201, 204), Destination=t.url + "copied/", Depth="infinity"))


def deltree(t):
    """DELETE of a folder of 1,000 files, for each file."""
    name = t.folder(1000)
    if not t.there("copied/"):
        t.must("COPY", name + "/", (201, 204), Destination=t.url + "copied/", Depth="infinity")
    return t.measure(1000, "file/s", lambda: t.must("DELETE", "copied/", (200, 204)))


def lock(t):
    """LOCK and UNLOCK of a file on one connection, for each pair."""
    t.put("l.bin", b"x")
    connection = t.connect()

    def all_of_it():
        for _ in range(500):
            fields, _ = t.must("LOCK", "l.bin", (200, 201), LOCK, connection, Timeout="Second-60", Depth="0", **XML)
            t.must("UNLOCK", "l.bin", (200, 204), None, connection, Lock_Token=fields["Lock-Token"])

    return t.measure(500, "pair/s", all_of_it)


def idle(t, count=200):
    """KiB of memory for each idle, signed-in connection."""
    base, open_connections = t.processes.rss(), []
    if base is None:
        raise RuntimeError("needs --pid")
    for _ in range(count):
        connection = t.connect()
        t.ask("OPTIONS", "", None, connection)
        open_connections.append(connection)
    each = (t.processes.rss() - base) / 1024 / count
    for connection in open_connections:
        connection.close()
    return Figure(each, "KiB/conn", None, {"rss_mib": base / 2**20})


def crowd(t):
    """Mixed small requests over 200 connections, and what memory and threads they take at most."""
    return crowded(t, 200)


def crowd1k(t):
    """The same over 1,000 connections."""
    return crowded(t, 1000)


def crowded(t, connections):
    t.put("f4k.bin", os.urandom(4096))
    listed = t.folder(100) + "/"
    name = f"crowd{time.time_ns()}"
    t.must("MKCOL", name + "/", (201,))
    script = f'''local n=0
local body=string.rep("x",4088)
local xml={{["Authorization"]="{t.sign}",["Content-Type"]="application/xml",["Depth"]="0"}}
local deep={{["Authorization"]="{t.sign}",["Content-Type"]="application/xml",["Depth"]="1"}}
local stat=[[{STAT}]]
request=function()
  n=n+1
  local kind=n%10
  if kind<3 then return wrk.format("GET","{t.path}f4k.bin") end
  if kind<6 then return wrk.format("PROPFIND","{t.path}f4k.bin",xml,stat) end
  if kind<7 then return wrk.format("PROPFIND","{t.path}{listed}",deep,stat) end
  if kind<8 then return wrk.format("OPTIONS","{t.path}f4k.bin") end
  if kind<9 then return wrk.format("PUT","{t.path}{name}/"..n..".bin",nil,body) end
  return wrk.format("PUT","{t.path}{name}/"..(n%2000)..".bin",nil,body..string.format("%08d",n))
end'''
    t.processes.reset_peak()
    with Watched(t.processes) as most:
        figure = t.wrk(script, connections, seconds=10)
    if most.threads:
        figure.also |= {"peak_mib": t.processes.rss(peak=True) / 2**20, "threads": most.threads}
    return figure


class Watched:
    """How many threads there are at most while something runs."""

    def __init__(self, processes):
        self.processes, self.threads, self.over = processes, 0, threading.Event()
        self.watcher = threading.Thread(target=self.watch)

    def watch(self):
        while self.processes.pid is not None and not self.over.wait(0.1):
            self.threads = max(self.threads, self.processes.threads())

    def __enter__(self):
        self.watcher.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.watcher.join()


ALL = {f.__name__: f for f in (get4k, stat, list10k, getbig, putbig, put4k, over4k, move, deltree, lock, range64k, copytree, list100k, idle, crowd, crowd1k)}

"""Uploads whose client goes away: the old content stays, nothing new appears, nothing stays in staging. And resumable uploads of one large part
each, which a stop or a crash of the server cuts: a stop keeps what came, a crash costs what was not on the disk yet."""
import os
import random
import socket
import struct
import time
from collections import Counter

import api
from check import staged, staging
from client import Client, url
from server import Server
from workload import ACCOUNT, PASSWORD

SHARES = (0, 1, 50, 99, 100)
PART = 120 << 20
STEP = 8 << 20  # what the server puts on the disk at a time
BUFFER = 128 << 10


def run(bench):
    server = Server(bench.binary, bench.folder(), server="shutdown_grace = 1\n")
    with bench.using(server):
        server.add(ACCOUNT, PASSWORD)
        server.start()
        client = Client(server.port, ACCOUNT, PASSWORD)
        old = os.urandom(50_000)
        if (status := client.put("old file é.bin", old)) != 201:
            return "no upload", [f"PUT -> {status}"]
        findings, count, seen, slowest = [], 0, 0, 0.0
        for n in range(bench.count(6, 56)):
            for share in SHARES:
                for chunked in (False, True):
                    if share == 100 and not chunked:
                        continue
                    bench.in_time()
                    name = "old file é.bin" if n % 2 else f"new file {n}.bin"
                    case = Case(client, name, share, chunked, abruptly=n % 3 == 0, seed=bench.seed + count)
                    seen += case.strike(server)
                    began = time.monotonic()
                    findings += [f"{case}: {f}" for f in staging(server.home(ACCOUNT), server.process.pid) + visible(client, name, old)]
                    slowest = max(slowest, time.monotonic() - began)
                    count += 1
        client.close()
        parts = bench.count(2, 20)
        lost = [cut_part(bench, server, n, findings) for n in range(parts)]
    if not seen:
        findings.append("blind: no upload was ever seen in .sarang/tmp")
    return (f"{count} uploads cut, {seen} of them seen in staging, gone after at most {slowest:.2f} s; {parts} parts of {PART >> 20} MiB cut by stops and crashes, "
            f"which cost at most {max(lost) / (1 << 20):.1f} MiB"), findings, Counter(strikes=count + parts, PUT=count, tus=parts)


def cut_part(bench, server, n, findings):
    """A stop or a crash in one part of a resumable upload; returns how much of what had come is to be sent again."""
    bench.in_time()
    is_crash, chance = n % 2 == 0, random.Random(bench.seed + n)
    client, content = Client(server.port, ACCOUNT, PASSWORD, timeout=60), chance.randbytes(PART)
    sent = chance.randrange(PART // 3, PART)
    address = api.begin(client, f"part {n}.bin", PART)[1]["Location"]
    file = server.home(ACCOUNT) / ".sarang/uploads" / address.rsplit("/", 1)[1]
    head = (f"PATCH {address} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: {client.sign}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
            f"Content-Type: {api.PART}\r\nContent-Length: {PART}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode() + content[:sent])
        if not wait_for(lambda: file.stat().st_size >= sent - BUFFER, 30):
            findings.append(f"part {n}: {file.stat().st_size} of {sent} bytes have come")
        time.sleep(0.3)
        server.kill() if is_crash else server.stop()
    client.close()
    server.start()
    client = Client(server.port, ACCOUNT, PASSWORD, timeout=60)
    at = api.offset(client, address) or 0
    least = sent - 2 * STEP - BUFFER if is_crash else sent
    if not least <= at <= sent:
        findings.append(f"part {n}: {at} of {sent} bytes are kept after a {'crash' if is_crash else 'stop'}")
    status = api.go_on(client, address, at, content[at:])[0]
    if status != 204 or client.get(f"part {n}.bin") != (200, content):
        findings.append(f"part {n}: not whole, {status}")
    client.ask("DELETE", f"part {n}.bin")
    client.close()
    return sent - at


def visible(client, name, old):
    status, body = client.get(name)
    if name.startswith("new"):
        return [] if status == 404 else [f"GET {name} -> {status}"]
    return [] if (status, body) == (200, old) else [f"old content is not served: {status}, {len(body)} bytes"]


class Case:
    """One upload of which only `share` percent are sent; chunked ones never send the last chunk."""

    def __init__(self, client, name, share, chunked, abruptly, seed):
        self.client, self.name, self.share, self.chunked, self.abruptly = client, name, share, chunked, abruptly
        self.size = random.Random(seed).randrange(200_000, 2_000_000)

    def __str__(self):
        return f"PUT {self.name} ({'chunked' if self.chunked else 'length'}) cut at {self.share} %"

    def strike(self, server):
        """Sends and goes away; True when the upload was seen in staging meanwhile."""
        sent = os.urandom(self.size * self.share // 100)
        framing = "Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {self.size}"
        head = f"PUT {url(self.name)} HTTP/1.1\r\nHost: 127.0.0.1:{self.client.port}\r\nAuthorization: {self.client.sign}\r\n{framing}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.client.port), timeout=20) as connection:
            connection.sendall(head.encode() + (frames(sent) if self.chunked else sent))
            found = self.share > 0 and wait_for(lambda: staged(server.home(ACCOUNT), server.process.pid), 0.15)
            if self.abruptly:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return bool(found)


def frames(content):
    pieces = [content[i:i + 9000] for i in range(0, len(content), 9000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)


def wait_for(look, patience):
    until = time.monotonic() + patience
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.005)
    return found

"""Whether the judges see what they are for: each planted fault must be found, and what is well must pass."""
import asyncio
import contextlib
import random

from person import Account, File, Pace, Person
from watch import MIB, Sample, judge
from wire import Refused, Tally, Target


def series():
    """(name, samples, the figures that grow)"""
    noise = random.Random(7)

    def run(memory, threads=lambda _: 30, descriptors=lambda _: 300, lives=4, length=60):
        return [Sample(life, int(memory(at) + noise.random() * 2 * MIB), threads(at), descriptors(at)) for life in range(lives) for at in range(length)]

    yield "flat", run(lambda _: 80 * MIB), set()
    yield "given back at each restart", run(lambda at: (60 if at < 10 else 80) * MIB), set()
    yield "warms up after each restart", run(lambda at: (60 + 40 * at / 60) * MIB), set()
    yield "memory leaks fast, and each restart hides it", run(lambda at: (60 + 2 * at) * MIB), {"memory"}
    yield "memory leaks, and each restart hides it", run(lambda at: (60 + at / 4) * MIB, length=300), {"memory"}
    yield "memory leaks over one life", run(lambda at: (60 + at / 4) * MIB, lives=1, length=240), {"memory"}
    yield "threads stay", run(lambda _: 80 * MIB, threads=lambda at: 20 + at), {"threads"}
    yield "descriptors stay open", run(lambda _: 80 * MIB, descriptors=lambda at: 200 + 4 * at), {"descriptors"}
    grown = [sample._replace(memory=(80 + 30 * (sample.life > 1)) * MIB) for sample in run(lambda _: 0)]
    yield "more after later restarts", grown, {"memory"}


FILE = File(5, 3000)


def said(status, body=b"", more=""):
    return f"HTTP/1.1 {status} X\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answers():
    """(name, what a server says to each request, connection by connection, how often is asked, what must be found, how much is repeated)"""
    good = said(200, FILE.content)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbb8\r\n" + FILE.content + b"\r\n0\r\n\r\n"
    yield "as it was written", [[good, chunked]], 2, None, 0
    yield "another content", [[said(200, File(6, 3000).content)]], 1, "torn", 0
    yield "cut short and whole for HTTP", [[said(200, FILE.content[:-1])]], 1, "torn", 0
    yield "lost", [[said(404)]], 1, "404", 0
    yield "an error of the server", [[said(500, b"a mistake")]], 1, "500", 0
    busy = said(503, more="Retry-After: 1\r\n")
    yield "busy", [[busy]], 1, "503", 0
    yield "other programs have the cores", [[busy, good]], 1, None, 0
    yield "other programs have the cores for long", [[busy, busy]], 1, "503", 0
    yield "other programs have the cores, and it is a mistake", [[said(500)]], 1, "500", 0
    yield "no answer on a new connection", [[b""]], 1, "a new connection", 0
    yield "an answer that breaks off", [[good[:-1]]], 1, "answer begun", 0
    yield "a kept connection that is closed", [[good], [good]], 2, None, 0
    yield "a kept connection that is closed while a request comes", [[good, b""], [good]], 2, None, 1
    yield "no answer the second time either", [[good, b""], [b""]], 2, "a new connection", 1


async def meet(connections, asks, is_overloaded):
    """What a client notes of a server that says this."""
    left, tally = list(connections), Tally(lambda: is_overloaded)

    async def serve(reader, writer):
        try:
            for answer in left.pop(0):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    here, there = Account("ana", "127.0.0.1"), Account("ben", "127.0.0.1")
    person = Person(0, here, there, Target(server.sockets[0].getsockname()[1], None), tally, Pace(), 1)
    person.signed, person.until, person.files = {}, float("inf"), {"file": FILE}
    for _ in range(asks):
        with contextlib.suppress(Refused):
            await person.judge_file("file")
        await asyncio.sleep(0.02)
    person.leave()
    server.close()
    return tally


def run():
    """(how many cases, findings)"""
    findings, count = [], 0
    for name, samples, growing in series():
        for figure in ("memory", "threads", "descriptors"):
            count += 1
            if bool(judge(samples, figure)[1]) != (figure in growing):
                findings.append(f"{name}: {figure} judged {'flat' if figure in growing else 'growing'}")
    for name, connections, asks, wanted, repeated in answers():
        count += 1
        tally = asyncio.run(meet(connections, asks, name.startswith("other programs")))
        found = " ".join(tally.take())
        if bool(found) != bool(wanted) or (wanted or "") not in found or tally.repeated.total() != repeated:
            findings.append(f"{name}: found {found or 'nothing'}, {tally.repeated.total()} repeated")
    return count, findings

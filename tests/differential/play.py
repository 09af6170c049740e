"""Plays one sequence on both servers and tells where they differ."""
import dataclasses
import hashlib
import os
import pathlib
import re
import urllib.parse
import xml.etree.ElementTree as ET
import time

import answers

PLACE = re.compile(r"\{(path|url|token|etag|modified|host)(?::([^{}]*))?\}")
NO_TOKEN = "urn:uuid:00000000-0000-4000-8000-000000000000"
ALLPROP = b'<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>'
LOCKINFO = '<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope><D:locktype><D:write/></D:locktype>{owner}</D:lockinfo>'
LIVE = ("{DAV:}", "{http://apache.org/dav/props/}")
ODD = "!$&'()*+,;=:@~"


class Ended(Exception):
    """Only one server made the change, or one broke off in it: what follows would compare nothing."""


@dataclasses.dataclass
class Difference:
    sequence: str
    number: int
    method: str
    line: str
    facts: dict
    field: str
    at: str
    apache: str
    sarang: str

    def __str__(self):
        at = f" at {self.at}" if self.at else ""
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        return f"{self.sequence} #{self.number} {self.line} [{facts}] {self.field}{at}: apache {self.apache}, sarang {self.sarang}"


def quoted(path):
    return urllib.parse.quote(path, safe="/")


class Side:
    """A server within a sequence."""

    def __init__(self, peer, root, name):
        self.peer, self.root, self.base = peer, root, f"/dav/{name}/"
        self.reading = answers.Reading(peer.host)
        self.kept = {}

    def expand(self, text):
        return PLACE.sub(self.value, text)

    def value(self, found):
        what, name = found[1], found[2] or ""
        match what:
            case "host":
                return self.peer.host
            case "path":
                return self.base + quoted(name)
            case "url":
                return f"http://{self.peer.host}{self.base}{quoted(name)}"
        return self.kept.get((what, name), NO_TOKEN if what == "token" else '"none"' if what == "etag" else "Thu, 01 Jan 1970 00:00:00 GMT")

    def kind(self, target):
        """What is on disk at an address."""
        path = self.root / urllib.parse.unquote(target).removeprefix("/dav/").strip("/")
        try:
            return "folder" if path.is_dir() else "file" if path.is_file() else "nothing"
        except (OSError, ValueError):
            return "nothing"

    def above(self, target):
        """What is above an address: a folder, nothing, or a file that stands in the way."""
        parent = os.path.dirname(target.rstrip("/"))
        while (kind := self.kind(parent)) == "nothing" and len(parent) > len(self.base):
            parent = os.path.dirname(parent)
        return kind if kind == "file" else self.kind(os.path.dirname(target.rstrip("/")))


class Play:
    """One sequence: each method asks both servers, compares, and hands what differs to `judge`."""

    def __init__(self, name, apache, sarang, judge, show=None, alter=None):
        self.name, self.judge, self.show, self.alter = name, judge, show, alter
        self.apache = Side(apache, apache.files, name)
        self.sarang = Side(sarang, sarang.server.home("ana"), name)
        self.sides = (self.apache, self.sarang)
        self.number, self.clock, self.status, self.locks = 0, 0, None, {}

    # Requests

    def ask(self, method, target, body=b"", keep=None, chunked=False, **headers):
        """One request; `target` and headers are templates, a target that is no address is a name in the sequence's folder."""
        self.number += 1
        headers = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        target = target if target.startswith(("{", "/", "*", "http:")) else "{path:" + target + "}"
        body = body.encode() if isinstance(body, str) else body
        facts = self.facts(target, headers)
        found = self.exchange(method, target, body, headers, chunked)
        seen = []
        for side, (status, given, content) in zip(self.sides, found):
            self.keep(side, method, keep, given, side.reading.path(side.expand(target)))
            seen.append(answers.read(method, status, given, content, side.reading))
        if self.alter:
            seen[1] = self.alter(self, method, dict(seen[1]))
        line = f"{method} {target}" + "".join(f" {name}: {value}" for name, value in headers.items())
        self.status = found[0][0] if found[0][0] == found[1][0] else None
        for side, one in zip(self.sides, seen):
            one.update(self.location(side, one, target, headers))
        self.compare(method, line, facts, *seen)
        if method in answers.WRITES:
            self.age()
            self.look_after(method, line, facts, target, headers, found)
        return self.status

    def exchange(self, method, target, body, headers, chunked=False):
        for side in self.sides:
            given = {name: side.expand(value) for name, value in headers.items()}
            if chunked:
                given["Transfer-Encoding"] = "chunked"
            said = side.expand(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape") if b"{" in body else body
            side.peer.send(method, side.expand(target), said, given)
        found = [side.peer.receive() for side in self.sides]
        if self.show:
            self.show(self, method, target, headers, body, found)
        return found

    def keep(self, side, method, name, headers, path):
        token = headers.get("Lock-Token")
        if method == "LOCK" and token:
            side.reading.tokens[token.strip("<>")] = name or "lock"
            side.reading.roots[name or "lock"] = path.rstrip("/")
        if name:
            for what, header in (("token", "Lock-Token"), ("etag", "ETag"), ("modified", "Last-Modified")):
                if headers.get(header):
                    side.kept[what, name] = headers[header].strip("<>") if what == "token" else headers[header]

    def location(self, side, seen, target, headers):
        """What a Location names: what was asked for, or where it went."""
        at = seen.get("header Location", answers.ABSENT).rstrip("/")
        for what, place in (("the target", target), ("the destination", headers.get("Destination"))):
            if place and at == side.reading.path(side.expand(place)).rstrip("/"):
                return {"header Location": what}
        return {}

    def facts(self, target, headers):
        """What an entry of the list may ask for: how things stand before the request."""
        def kind(of, look=Side.kind):
            kinds = [look(side, of) for side in self.sides]
            return kinds[0] if kinds[0] == kinds[1] else f"{kinds[0]} and {kinds[1]}"
        address = self.sarang.expand(target).split("?")[0]
        facts = {"target": kind(address), "parent": kind(address, Side.above), "slash": "yes" if address.endswith("/") else "no"}
        if "Destination" in headers:
            to = re.sub(r"^[a-z]+://[^/]*", "", self.sarang.expand(headers["Destination"]))
            facts["destination"] = kind(to)
            facts["destination parent"] = kind(to, Side.above)
            here, there = address.rstrip("/") + "/", to.rstrip("/") + "/"
            facts["relation"] = "same" if here == there else "inside" if there.startswith(here) else "above" if here.startswith(there) else "apart"
        facts.update({name: headers[name] for name in sorted(headers)})
        return facts

    # Comparing

    def compare(self, method, line, facts, apache, sarang):
        def report(field, one, other):
            name, at, lock = (*field, "", "")[:3] if isinstance(field, tuple) else (field, "", "")
            shown = at.removeprefix(self.sarang.base[:-1]) + lock
            held = dict(facts)
            if at:
                held["at"] = self.sarang.kind(quoted(at))
            return Difference(self.name, self.number, method, line, held, name, shown, self.relative(one), self.relative(other))
        if apache["status"] != sarang["status"]:
            found = [report("status", apache["status"], sarang["status"])]
        else:
            fields = [*apache, *(field for field in sarang if field not in apache)]
            fields = [field for field in fields if not follows(field, apache, sarang)]
            found = [report(field, apache.get(field, answers.ABSENT), sarang.get(field, answers.ABSENT))
                     for field in fields if apache.get(field, answers.ABSENT) != sarang.get(field, answers.ABSENT)]
        for difference in found:
            self.judge(difference)
        statuses = apache["status"], sarang["status"]
        if method in answers.WRITES and (done(method, statuses[0]) != done(method, statuses[1]) or any(status.startswith("5") for status in statuses)):
            raise Ended

    def relative(self, text):
        return text.replace(self.sarang.base[:-1], "~")

    def look_after(self, method, line, facts, target, headers, found):
        """HEAD of the files that the request was about: what is there now, and whether its tag changed."""
        places = [target]
        if "Destination" in headers and "{" in headers["Destination"]:
            places.append(re.sub(r"\{url:", "{path:", headers["Destination"]))
        for place in places:
            place = place.replace("/}", "}")
            if not place.startswith("{path:") or "file" not in {side.kind(side.expand(place).split("?")[0]) for side in self.sides}:
                continue
            after = self.exchange("HEAD", place, b"", {})
            seen = [self.tag_after(side, side.reading.path(side.expand(place)), method, answer, first, place == target.replace("/}", "}"))
                    for side, answer, first in zip(self.sides, after, found)]
            if self.alter:
                seen[1] = self.alter(self, "HEAD", seen[1])
            self.compare(method, f"{line} then HEAD {place}", {**facts, "after": "target" if place == target.replace("/}", "}") else "destination"}, *seen)

    def tag_after(self, side, path, method, answer, first, is_target):
        status, headers, _ = answer
        tag, known = headers.get("ETag"), side.reading.tags.get(path)
        seen = {"status": str(status), "tag": answers.tag_kind(tag), "length": headers.get("Content-Length") or answers.ABSENT}
        seen["tag now"] = "absent" if tag is None else "new" if known is None else "kept" if known == tag else "changed"
        if method == "PUT" and is_target and first[0] < 300:
            seen["tag of PUT"] = answers.ABSENT if first[1].get("ETag") is None else "stands" if first[1]["ETag"] == tag else "stale"
        side.reading.tags.pop(path, None)
        if tag and status == 200:
            side.reading.tags[path] = tag
        return seen

    def age(self):
        """Apache's tags are weak while a thing is younger than a second: each new state gets a time of its own, long past."""
        recent = time.time() - 100_000
        for folder, _, names in os.walk(self.apache.root / self.name):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                if os.stat(path).st_mtime > recent:
                    self.clock += 1
                    os.utime(path, (1_500_000_000 + self.clock,) * 2)

    # The end

    def compare_trees(self):
        """Everything in the sequence's folder, by PROPFIND Depth 1 from folder to folder and GET of each file."""
        trees = [self.tree(side) for side in self.sides]
        if self.alter:
            trees[1] = self.alter(self, "tree", trees[1])
        self.number += 1
        self.compare("tree", "the whole tree", {}, *({"status": "walked", **tree} for tree in trees))

    def tree(self, side):
        found, todo = {}, [side.base]
        while todo:
            folder = todo.pop()
            side.peer.send("PROPFIND", quoted(folder), ALLPROP, {"Depth": "1", "Content-Type": "application/xml"})
            status, _, body = side.peer.receive()
            if status != 207:
                found["listing", folder] = f"{status}"
                continue
            for response in ET.fromstring(body).iter("{DAV:}response"):
                path = side.reading.path(response.findtext("{DAV:}href"))
                props = {prop.tag: prop for stat in response.iter("{DAV:}propstat") for prop in stat.find("{DAV:}prop")}
                is_folder = props["{DAV:}resourcetype"].find("{DAV:}collection") is not None
                if path.rstrip("/") == folder.rstrip("/") and path != side.base:
                    continue
                found["is", path.rstrip("/")] = "folder" if is_folder else f"file {self.content(side, path)}"
                for tag, prop in props.items():
                    if not tag.startswith(LIVE):
                        found[f"dead {tag}", path.rstrip("/")] = answers.canonical(prop)
                if is_folder and path != folder:
                    todo.append(path)
        return found

    def content(self, side, path):
        side.peer.send("GET", quoted(path), b"", {})
        status, _, body = side.peer.receive()
        return hashlib.sha256(body).hexdigest()[:16] if status == 200 else str(status)

    # Words for sequences

    def put(self, path, content="", **headers):
        return self.ask("PUT", path, content, **headers)

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def head(self, path, **headers):
        return self.ask("HEAD", path, **headers)

    def delete(self, path, **headers):
        return self.ask("DELETE", path, **headers)

    def mkcol(self, path, **headers):
        return self.ask("MKCOL", path, **headers)

    def options(self, path, **headers):
        return self.ask("OPTIONS", path, **headers)

    def copy(self, path, to, method="COPY", **headers):
        return self.ask(method, path, Destination=to if "://" in to or to.startswith(("/", "{")) else "{url:" + to + "}", **headers)

    def move(self, path, to, **headers):
        return self.copy(path, to, method="MOVE", **headers)

    def lock(self, path, name="l", scope="exclusive", owner="<D:owner>me</D:owner>", timeout="Second-600", **headers):
        body = LOCKINFO.format(scope=scope, owner=owner)
        headers.setdefault("Content_Type", "application/xml")
        return self.ask("LOCK", path, body, keep=name, Timeout=timeout, **headers)

    def refresh(self, path, name="l", timeout="Second-900", **headers):
        return self.ask("LOCK", path, If="(<{token:%s}>)" % name, Timeout=timeout, **headers)

    def unlock(self, path, name="l", **headers):
        return self.ask("UNLOCK", path, Lock_Token="<{token:%s}>" % name, **headers)

    def find(self, path, props=None, depth="0", inner=None, **headers):
        """PROPFIND of names ("a" is DAV:a, "x:a" in urn:x), of everything, or with a body of one's own."""
        if inner is None:
            inner = "<D:allprop/>" if props is None else "<D:prop>" + "".join(f"<{p if ':' in p else 'D:' + p}/>" for p in props.split()) + "</D:prop>"
        body = f'<?xml version="1.0"?><D:propfind xmlns:D="DAV:" xmlns:x="urn:x" xmlns:y="urn:y">{inner}</D:propfind>'
        return self.ask("PROPFIND", path, body, Depth=depth, Content_Type="application/xml", **headers)

    def patch(self, path, *steps, **headers):
        """PROPPATCH: "+<x:a>v</x:a>" sets, "-<x:a/>" removes."""
        inner = "".join(f"<D:{w}><D:prop>{step[1:]}</D:prop></D:{w}>" for step in steps for w in ("set" if step[0] == "+" else "remove",))
        body = f'<?xml version="1.0"?><D:propertyupdate xmlns:D="DAV:" xmlns:x="urn:x" xmlns:y="urn:y">{inner}</D:propertyupdate>'
        return self.ask("PROPPATCH", path, body, Content_Type="application/xml", **headers)


def done(method, status):
    """Whether a change was made."""
    return status.startswith("2") and (status != "207" or method == "PROPPATCH")


def follows(field, apache, sarang):
    """Whether a difference only follows from another: properties of what one side does not list, values of those it does not have, parts of locks it does not tell."""
    name, at = (*field, "")[:2] if isinstance(field, tuple) else (field, "")
    above = {"value": "prop " + name.partition(" ")[2], "lock": "locks", "locks": "prop {DAV:}lockdiscovery", "dead": "is", "prop": "href", "form": "href"}
    of = above.get(name.partition(" ")[0])
    return of is not None and (apache.get((of, at)) != sarang.get((of, at)) or follows((of, at), apache, sarang))

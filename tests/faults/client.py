"""A WebDAV client for the checks: one connection, one account, whole answers or an exception."""
import base64
import hashlib
import http.client
import re
import urllib.parse
import xml.etree.ElementTree as ET

from model import FOLDER, Node

SPACE = "urn:sarang:faults"
BROKEN = (OSError, http.client.HTTPException)
LOOK = (f'<?xml version="1.0"?><D:propfind xmlns:D="DAV:" xmlns:F="{SPACE}"><D:prop><D:resourcetype/><D:lockdiscovery/>'
        '<F:mark/></D:prop></D:propfind>').encode()
QUOTA = (b'<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/></D:prop></D:propfind>')
LOCK = (b'<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
        b'<D:owner>faults</D:owner></D:lockinfo>')


def digest(content):
    return hashlib.sha256(content).hexdigest()


def url(path):
    return "/dav/" + urllib.parse.quote(path)


class Client:
    """`port` of a server on loopback, signed in with Basic, or not at all without an account."""

    def __init__(self, port, account, password, timeout=20):
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self.sign = account and "Basic " + base64.b64encode(f"{account}:{password}".encode()).decode()

    def close(self):
        self.connection.close()

    def ask(self, method, path, body=None, chunked=False, **headers):
        """(status, headers, body) about a path of the drive; an answer cut short raises."""
        return self.call(method, url(path), body, chunked, **headers)

    def call(self, method, target, body=None, chunked=False, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.sign:
            headers["Authorization"] = self.sign
        if chunked:
            body = iter([body[i:i + 7000] for i in range(0, len(body), 7000)])
            headers["Transfer-Encoding"] = "chunked"
        self.connection.request(method, target, body=body, headers=headers, encode_chunked=chunked)
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def put(self, path, content, **headers):
        return self.ask("PUT", path, content, **headers)[0]

    def get(self, path):
        status, _, body = self.ask("GET", path)
        return status, body

    def destination(self, path):
        return f"http://127.0.0.1:{self.port}{url(path)}"

    def mark(self, path, value):
        body = (f'<?xml version="1.0"?><D:propertyupdate xmlns:D="DAV:" xmlns:F="{SPACE}"><D:set><D:prop><F:mark>{value}</F:mark>'
                '</D:prop></D:set></D:propertyupdate>').encode()
        status, headers, said = self.ask("PROPPATCH", path, body, Content_Type="application/xml")
        done = status == 207 and re.search(rb"HTTP/1\.1 200", said)
        return (200 if done else 500 if status == 207 else status), headers, said

    def look(self, path, depth):
        """{path: (is a folder, mark, lock tokens)} of a PROPFIND; empty when there is nothing."""
        status, _, body = self.ask("PROPFIND", path, LOOK, Depth=str(depth), Content_Type="application/xml")
        if status == 404:
            return {}
        if status != 207:
            raise AssertionError(f"PROPFIND {path} -> {status} {body[:200]!r}")
        return dict(entry(response) for response in ET.fromstring(body).iter("{DAV:}response"))

    def tree(self, top):
        """({path: Node}, {path: lock tokens}) of everything in `top`, each file read whole."""
        nodes, locks, todo = {}, {}, [top]
        while todo:
            folder = todo.pop()
            for path, (is_folder, mark, tokens) in self.look(folder + "/", 1).items():
                if path == folder and path != top:
                    continue
                nodes[path] = Node(FOLDER if is_folder else self.content(path), mark)
                if tokens:
                    locks[path] = tokens
                if is_folder and path != folder:
                    todo.append(path)
        return nodes, locks

    def content(self, path):
        status, body = self.get(path)
        return digest(body) if status == 200 else f"GET {status}"

    def quota(self):
        """The bytes the account may keep, or None when sign-in is refused."""
        status, _, body = self.ask("PROPFIND", "", QUOTA, Depth="0", Content_Type="application/xml")
        if status == 401:
            return None
        if status != 207:
            raise AssertionError(f"PROPFIND of the quota -> {status} {body[:200]!r}")
        return sum(int(n) for n in re.findall(rb"quota-(?:available|used)-bytes[^>]*>(\d+)<", body))


def entry(response):
    href = urllib.parse.unquote(urllib.parse.urlsplit(response.findtext("{DAV:}href").strip()).path)
    found = {}
    for stat in response.iter("{DAV:}propstat"):
        if " 200" in stat.findtext("{DAV:}status"):
            found.update({prop.tag: prop for prop in stat.find("{DAV:}prop")})
    kind = found.get("{DAV:}resourcetype")
    mark = found.get(f"{{{SPACE}}}mark")
    locks = found.get("{DAV:}lockdiscovery")
    tokens = [h.text.strip() for t in locks.iter("{DAV:}locktoken") for h in t.iter("{DAV:}href")] if locks is not None else []
    is_folder = kind is not None and kind.find("{DAV:}collection") is not None
    return href.removeprefix("/dav/").strip("/"), (is_folder, None if mark is None else mark.text, tokens)

"""What of an answer a client acts on, in a form in which two servers can be compared."""
import email.parser
import email.policy
import email.utils
import re
import urllib.parse
import xml.etree.ElementTree as ET

DAV = "{DAV:}"
WRITES = {"PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPPATCH", "LOCK", "UNLOCK", "PATCH"}
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ABSENT = "absent"


class Reading:
    """What is known of one server while a sequence runs: tags seen at its addresses, tokens granted, its own address."""

    def __init__(self, host):
        self.host, self.tags, self.tokens, self.roots = host, {}, {}, {}

    def path(self, address):
        """An address as a path, decoded, without the server that it names."""
        parts = urllib.parse.urlsplit(address.strip())
        if parts.netloc and parts.netloc.rpartition("@")[2] != self.host:
            return address
        return urllib.parse.unquote(parts.path, errors="surrogateescape")

    def token(self, token):
        return self.tokens.get(token.strip().strip("<>"), "unknown")


def tag_kind(tag):
    if tag is None:
        return ABSENT
    return "weak" if re.fullmatch(r'W/"[^"]*"', tag) else "strong" if re.fullmatch(r'"[^"]*"', tag) else f"malformed {tag}"


def methods(allow):
    return ABSENT if allow is None else " ".join(sorted({word.strip() for word in allow.split(",") if word.strip()}))


def presence(value):
    return ABSENT if value is None else "present"


def read(method, status, headers, body, reading):
    """{field: text} of one answer."""
    seen = {"status": str(status)}
    if status == 401:
        seen["header WWW-Authenticate"] = (headers.get("WWW-Authenticate") or ABSENT).split(" ")[0]
    if status == 405:
        seen["header Allow"] = presence(headers.get("Allow"))
    if status == 416:
        seen["header Content-Range"] = headers.get("Content-Range") or ABSENT
    if status >= 400:
        seen["precondition"] = precondition(headers, body)
    if status == 201 or 300 <= status < 400 and status != 304:
        location = headers.get("Location")
        seen["header Location"] = ABSENT if location is None else reading.path(location)
    if method == "OPTIONS" and status == 200:
        seen["header Allow"] = methods(headers.get("Allow"))
        seen["header DAV"] = " ".join(word.strip() for word in headers.get("DAV", ABSENT).split(","))
        seen["header MS-Author-Via"] = headers.get("MS-Author-Via") or ABSENT
        seen["body"] = repr(body)
    if status < 300 and method == "LOCK":
        token = headers.get("Lock-Token")
        seen["header Lock-Token"] = ABSENT if token is None else reading.token(token)
    if method in ("GET", "HEAD") and status in (200, 206, 304):
        read_content(method, status, headers, body, seen)
    elif method == "PUT" and status < 300:
        seen["header ETag"] = tag_kind(headers.get("ETag"))
        seen["header Last-Modified"] = presence(headers.get("Last-Modified"))
    elif status == 204 and body:
        seen["body"] = "present"
    if status == 207 or (method == "LOCK" and status < 300):
        kind = headers.get("Content-Type", ABSENT).replace('"', "").replace(" ", "").lower()
        seen["header Content-Type"] = kind
        read_xml(status, body, reading, seen)
    return seen


def read_content(method, status, headers, body, seen):
    seen["header ETag"] = tag_kind(headers.get("ETag"))
    if status == 304:
        seen["body"] = repr(body)
        return
    seen["header Last-Modified"] = presence(headers.get("Last-Modified"))
    seen["header Accept-Ranges"] = headers.get("Accept-Ranges") or ABSENT
    kind = headers.get("Content-Type", "")
    if kind.startswith("multipart/byteranges"):
        seen["body"] = repr(parts(kind, body))
        return
    seen["header Content-Range"] = headers.get("Content-Range") or ABSENT
    seen["header Content-Length"] = headers.get("Content-Length") or ABSENT
    seen["body"] = repr(body)


def parts(kind, body):
    """[(Content-Range, bytes)] of a multipart answer."""
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    return [(part["Content-Range"], part.get_payload(decode=True)) for part in message.iter_parts()]


def precondition(headers, body):
    """The names in a DAV:error body."""
    if "xml" not in headers.get("Content-Type", ""):
        return "none"
    try:
        root = ET.fromstring(body)
    except ET.ParseError:
        return "malformed"
    return " ".join(sorted(child.tag for child in root)) if root.tag == DAV + "error" else "none"


def read_xml(status, body, reading, seen):
    try:
        root = ET.fromstring(body)
    except ET.ParseError as error:
        seen["xml"] = f"malformed: {error}"
        return
    if status != 207:
        seen["xml"] = root.tag
        seen["prop {DAV:}lockdiscovery", ""] = "200"
        locks(root.find(DAV + "lockdiscovery"), "", reading, seen)
        return
    seen["xml"] = root.tag
    for response in root.iter(DAV + "response"):
        read_response(response, reading, seen)


def read_response(response, reading, seen):
    hrefs = [href.text or "" for href in response.findall(DAV + "href")]
    statuses = [code(found.text) for found in response.findall(DAV + "status")]
    for href in hrefs:
        form, path = "with slash" if href.endswith("/") else "without slash", reading.path(href).rstrip("/")
        if ("href", path) in seen:
            seen["href", path] = "repeated"
            continue
        seen["href", path] = "present" if not statuses else " ".join(statuses)
        seen["form of href", path] = form
        for stat in response.findall(DAV + "propstat"):
            status = code(stat.findtext(DAV + "status"))
            for prop in stat.find(DAV + "prop"):
                read_property(prop, status, path, reading, seen)


def code(line):
    found = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", line or "", re.S)
    return found[1] if found else f"malformed {line}"


def read_property(prop, status, path, reading, seen):
    name = f"prop {prop.tag}"
    if (name, path) in seen:
        status += " repeated"
    seen[name, path] = status
    if status != "200" or (len(prop) == 0 and not prop.text and prop.tag not in (DAV + "lockdiscovery", DAV + "resourcetype")):
        if status == "200":
            seen[f"value {prop.tag}", path] = "empty"
        return
    if prop.tag == DAV + "lockdiscovery":
        locks(prop, path, reading, seen)
        return
    seen[f"value {prop.tag}", path] = value_of(prop, path, reading)


def value_of(prop, path, reading):
    text = prop.text or ""
    match prop.tag.removeprefix(DAV):
        case "getlastmodified":
            return "date" if len(prop) == 0 and text.endswith(" GMT") and email.utils.parsedate(text) else f"malformed {text}"
        case "creationdate":
            return "date" if ISO.fullmatch(text) else f"malformed {text}"
        case "getetag":
            known = reading.tags.get(path)
            return tag_kind(text) + ("" if known is None else " as the header" if known == text else " unlike the header")
        case "supportedlock":
            entries = [" ".join(inner.tag.removeprefix(DAV) for part in ("lockscope", "locktype") for inner in entry.find(DAV + part)) for entry in prop]
            return ", ".join(sorted(entries))
        case "resourcetype":
            return " ".join(child.tag for child in prop) or "empty"
    return canonical(prop)


def locks(discovery, path, reading, seen):
    """Notes the locks told; each is named as the sequence named it."""
    if discovery is None:
        seen["locks", path] = "no lockdiscovery"
        return
    told = []
    for active in discovery.findall(DAV + "activelock"):
        token = active.findtext(f"{DAV}locktoken/{DAV}href")
        name = ABSENT if token is None else reading.token(token)
        told.append(name)
        root, owner = active.findtext(f"{DAV}lockroot/{DAV}href"), active.find(DAV + "owner")
        where = ABSENT if root is None else reading.path(root).rstrip("/")
        seen["lock scope", path, name] = " ".join(child.tag for child in active.find(DAV + "lockscope"))
        seen["lock type", path, name] = " ".join(child.tag for child in active.find(DAV + "locktype"))
        seen["lock depth", path, name] = (active.findtext(DAV + "depth") or ABSENT).lower()
        seen["lock timeout", path, name] = timeout(active.findtext(DAV + "timeout"))
        seen["lock root", path, name] = "where it was made" if where == reading.roots.get(name) else where
        seen["lock owner", path, name] = ABSENT if owner is None else canonical(owner)
    seen["locks", path] = " ".join(sorted(told)) or "none"


def timeout(text):
    """Seconds rounded up to tens, since they run."""
    found = re.fullmatch(r"Second-(\d+)", text or "")
    return str(-(-int(found[1]) // 10) * 10) if found else text or ABSENT


def canonical(element):
    """An element whatever its prefixes are; white space counts."""
    attributes = "".join(f" {name}={value!r}" for name, value in sorted(element.attrib.items()))
    inner = (element.text or "") + "".join(canonical(child) + (child.tail or "") for child in element)
    return f"<{element.tag}{attributes}>{inner}</>"

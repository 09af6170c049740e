"""The parts of the JSON API that are put to the test: shares, and uploads that go on after a crash (tus)."""
import base64
import json
import urllib.parse

SHARES = "/api/v1/shares"
UPLOADS = "/api/v1/uploads"
TUS = {"Tus_Resumable": "1.0.0"}
PART = "application/offset+octet-stream"


def share(client, path, receiver, rights="view"):
    """(status, headers, body); `shared` tells the id."""
    body = json.dumps({"path": "/" + path, "to": {"account": receiver}, "rights": rights}).encode()
    return client.call("POST", SHARES, body, Content_Type="application/json")


def shared(said):
    return json.loads(said)["id"]


def unshare(client, number):
    return client.call("DELETE", f"{SHARES}/{number}")


def shares(client):
    """{id: path} of what the account shares."""
    found, target = {}, SHARES
    while target:
        status, _, said = client.call("GET", target)
        if status != 200:
            raise AssertionError(f"GET {target} -> {status} {said[:200]!r}")
        page = json.loads(said)
        found.update({item["id"]: (item["path"] or "").strip("/") for item in page["items"]})
        target = page.get("next") and f"{SHARES}?{urllib.parse.urlencode({'cursor': page['next']})}"
    return found


def versions(client, path):
    """The former contents of a file, newest first."""
    query = urllib.parse.urlencode({"path": path})
    status, _, said = client.call("GET", f"/api/v1/versions?{query}")
    if status != 200:
        raise AssertionError(f"GET versions of {path} -> {status} {said[:200]!r}")
    return [version(client, query, item["id"]) for item in json.loads(said)["items"]]


def version(client, query, number):
    status, _, content = client.call("GET", f"/api/v1/versions/content?{query}&{urllib.parse.urlencode({'id': number})}")
    if status != 200:
        raise AssertionError(f"GET version {query} {number} -> {status}")
    return content


def begin(client, path, length):
    """(status, headers, body); the upload's address is its `Location`."""
    name = base64.b64encode(path.encode()).decode()
    return client.call("POST", UPLOADS, b"", Upload_Length=str(length), Upload_Metadata=f"path {name}", **TUS)


def go_on(client, address, offset, piece):
    return client.call("PATCH", address, piece, Upload_Offset=str(offset), Content_Type=PART, **TUS)


def stand(client, address):
    """(status, headers, body); `Upload-Offset` is how far the upload has come."""
    return client.call("HEAD", address, **TUS)


def offset(client, address):
    """How far the upload has come, or None when there is none (any more)."""
    status, headers, _ = stand(client, address)
    if status in (404, 410):
        return None
    if status != 200:
        raise AssertionError(f"HEAD {address} -> {status}")
    return int(headers["Upload-Offset"])

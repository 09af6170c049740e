"""The two servers: Apache httpd with mod_dav, and sarang, each over a folder of its own on loopback, ended by process id."""
import base64
import hashlib
import http.client
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
import server

USER, PASSWORD = "ana", "correct-horse-battery"
HTTPD = next((found for name in ("apache2", "httpd") if (found := shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin"))), None)
MODULES = pathlib.Path("/usr/lib/apache2/modules")
LOADED = "mpm_event authn_core authn_file authz_core authz_user auth_basic alias mime dav dav_fs".split()
CONFIG = """ServerRoot "{root}"
ServerName localhost
Listen 127.0.0.1:{port}
PidFile httpd.pid
ErrorLog error.log
LogLevel warn
DefaultRuntimeDir "{root}"
Mutex file:{root} default
{modules}
StartServers 1
ThreadsPerChild 8
ThreadLimit 8
ServerLimit 1
MaxRequestWorkers 8
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 600
EnableSendfile Off
EnableMMAP Off
FileETag INode MTime Size
TypesConfig /dev/null
DavLockDB "{root}/locks/db"
Alias /dav "{root}/files"
<Directory "{root}/files">
    Dav On
    AuthType Basic
    AuthName "differential"
    AuthUserFile "{root}/users"
    Require valid-user
</Directory>
"""


def missing():
    """Why Apache cannot be run here, or nothing."""
    if HTTPD is None:
        return "needs Apache httpd (Debian: apache2-bin)"
    absent = [name for name in LOADED if not (MODULES / f"mod_{name}.so").is_file()]
    return f"needs Apache's modules {', '.join(absent)} in {MODULES}" if absent else None


class Peer:
    """A server, and one connection to it."""

    def __init__(self, name, port):
        self.name, self.port = name, port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.sign = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def send(self, method, target, body, headers):
        """Sends one request; `target` goes out as it is."""
        connection = self.connection
        connection.putrequest(method, target, skip_accept_encoding=True)
        headers = {"Authorization": self.sign, **headers}
        chunked = headers.get("Transfer-Encoding") == "chunked"
        if not chunked and (body or method in ("PUT", "MKCOL", "COPY", "MOVE", "DELETE", "LOCK", "PROPFIND", "PROPPATCH")):
            headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name, value.encode() if isinstance(value, str) else value)
        parts = [body[i:i + 5] for i in range(0, len(body), 5)] if chunked else body
        connection.endheaders(iter(parts) if chunked else body or None, encode_chunked=chunked)

    def receive(self):
        """(status, headers, body); the connection is made anew where the server closes it."""
        answer = self.connection.getresponse()
        body = answer.read()
        return answer.status, answer.headers, body

    def close(self):
        self.connection.close()


class Apache(Peer):
    """Runs as nobody when started by root."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.files = self.folder / "files"
        for name in ("files", "locks"):
            (self.folder / name).mkdir()
        (self.folder / "users").write_text(f"{USER}:{{SHA}}{base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()}\n")
        port = free_port()
        modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED)
        (self.folder / "httpd.conf").write_text(CONFIG.format(root=self.folder, port=port, modules=modules))
        who = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        log = open(self.folder / "output.log", "wb")
        self.process = subprocess.Popen([HTTPD, "-f", str(self.folder / "httpd.conf"), "-D", "FOREGROUND"],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, **who)
        log.close()
        super().__init__("apache", port)
        try:
            self.await_answer()
        except BaseException:
            self.close()
            raise

    def await_answer(self):
        until = time.monotonic() + 20
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            except OSError:
                time.sleep(0.02)
        said = "".join((self.folder / name).read_text(errors="replace") for name in ("output.log", "error.log") if (self.folder / name).exists())
        raise RuntimeError(f"httpd does not answer: {said[-1500:]}")

    def close(self):
        super().close()
        end(self.process)


class Sarang(Peer):
    """The program under test."""

    def __init__(self, binary, folder):
        self.server = server.Server(binary, folder, durability="relaxed")
        self.server.add(USER, PASSWORD)
        try:
            self.server.start()
        except BaseException:
            self.server.kill()
            raise
        super().__init__("sarang", self.server.port)

    def close(self):
        super().close()
        end(self.server.process)


def end(process):
    """Asks a process to end, by its id, and waits until it has."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)


def free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]

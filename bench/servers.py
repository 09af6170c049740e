"""Starts the servers that are compared, each on loopback over an empty folder with Basic auth and its documented settings."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import textwrap
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
USER, PASSWORD = "bench", "bench-pass-1"
PEERS = pathlib.Path(os.environ.get("PEERS_HOME", "/tmp/peers"))
SARANG = pathlib.Path(os.environ.get("SARANG_BIN", HERE.parent / "target/release/sarang"))
DUFS = pathlib.Path(os.environ.get("PEERS_DUFS", PEERS / "dufs/bin/dufs"))
DAVSERVER = pathlib.Path(os.environ.get("PEERS_DAVSERVER", PEERS / "src/target/release/davserver"))


class Server:
    """A started server: its `url`, its process id, the folder on disk where the files of the url lie."""

    def __init__(self, argv, folder, port, path="/", files="data"):
        self.url = f"http://127.0.0.1:{port}{path}"
        self.files = folder / files
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid = self.process.pid
        self.wait()

    def wait(self, patience=30):
        until = time.monotonic() + patience
        while time.monotonic() < until and self.process.poll() is None:
            try:
                urllib.request.urlopen(urllib.request.Request(self.url, method="OPTIONS"), timeout=2)
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"does not answer: {self.log.read_text(errors='replace')[-1000:]}")

    def stop(self):
        """Ends it and what it started, by its own process group."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.pid, sign)
                self.process.wait(10)
                return
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


def fresh(name):
    """(an empty folder with `data` in it, a free port)"""
    folder = PEERS / "run" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return folder, probe.getsockname()[1]


def sarang(durability="relaxed"):
    """The project with an argon2-hashed account."""
    folder, port = fresh(f"sarang-{durability}")
    config = folder / "config.toml"
    text = (HERE / "sarang.toml").read_text()
    config.write_text(text.replace("@PORT@", str(port)).replace("@DIR@", str(folder)).replace("@DURABILITY@", durability))
    subprocess.run([SARANG, "--config", config, "user", "add", USER, "--password-stdin"], input=PASSWORD + "\n", text=True, check=True, capture_output=True)
    return Server([SARANG, "--config", config, "serve"], folder, port, "/dav/", f"data/homes/{USER}")


def sarang_strict():
    """The project as it comes: acknowledged means on disk."""
    return sarang("strict")


def nginx():
    """nginx with mod_dav and dav-ext, passwords in plain text (the cheapest it has)."""
    folder, port = fresh("nginx")
    (folder / "passwords").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    (folder / "nginx.conf").write_text(textwrap.dedent(f"""
        load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
        {'user root;' if os.geteuid() == 0 else ''}
        worker_processes 2; daemon off; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 20000; }}
        http {{
          access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
          client_max_body_size 0; client_body_temp_path {folder}/tmp;
          dav_ext_lock_zone zone=locks:10m;
          server {{
            listen 127.0.0.1:{port} reuseport;
            root {folder}/data;
            auth_basic x; auth_basic_user_file {folder}/passwords;
            location / {{
              dav_methods PUT DELETE MKCOL COPY MOVE;
              dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK;
              dav_ext_lock zone=locks; create_full_put_path on; dav_access user:rw;
            }}
          }}
        }}
    """))
    return Server(["nginx", "-c", folder / "nginx.conf", "-p", folder], folder, port)


def dufs():
    folder, port = fresh("dufs")
    return Server([DUFS, "-b", "127.0.0.1", "-p", port, "-A", "-a", f"{USER}:{PASSWORD}@/:rw", folder / "data"], folder, port)


def davserver():
    """The dav-server crate's own file system, see davserver/."""
    folder, port = fresh("davserver")
    return Server([DAVSERVER, port, folder / "data"], folder, port)


ALL = {f.__name__.replace("_", "-"): f for f in (sarang, sarang_strict, nginx, davserver, dufs)}

"""Real servers for DVC remotes, on 127.0.0.1: S3 and WebDAV by rclone, SSH by OpenSSH."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil  # DVC brings it
from dvc.config import Config

from tests.support.running import wait_until
from tests.support.workspace import Workspace

RCLONE = Path(sys.executable).with_name("rclone")
SSHD = Path("/usr/sbin/sshd")  # sshd starts itself again, so it wants its whole path
SSHD_OWN = Path("/run/sshd")  # a package makes it when the service starts; sshd of root needs it
LIFETIME = 900  # seconds, after which a server ends by itself
USER, SECRET = "tester", "a-secret-of-the-tests"  # not secrets: what the servers ask for
BUCKET = "bucket"  # a folder below the server's


class Server:
    """A server with an empty DVC remote in it."""

    def __init__(self, kind: str, command: list[str], port: int, folder: Path, url: str, **options: str) -> None:
        self.kind, self.url, self.options = kind, url, options
        self.folder = folder / BUCKET  # where the bytes lie
        self._command, self._port = ["timeout", str(LIFETIME), *command], port
        self._process: subprocess.Popen[bytes] | None = None
        self.folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start it, again on the same port, and wait until it answers."""
        self._process = process = subprocess.Popen(self._command, start_new_session=True)

        def answers() -> bool:
            assert process.poll() is None, f"{self._command} ended"
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return True
            return False

        wait_until(answers, pause=0.05)

    def kill(self) -> None:
        """Kill it, and the processes that serve open connections."""
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._process.pid)
            parent.send_signal(signal.SIGSTOP)  # so that it starts no more
            for process in [*parent.children(recursive=True), parent]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait(timeout=10)
        self._process = None

    def files(self) -> list[Path]:
        """The files in the remote, by name."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@contextmanager
def s3_server(folder: Path) -> Iterator[Server]:
    """Serve a new bucket in ``folder`` by S3's protocol."""
    port = free_port()
    command = [str(RCLONE), "serve", "s3", f"--auth-key={USER},{SECRET}"]
    options = {"endpointurl": f"http://127.0.0.1:{port}", "access_key_id": USER, "secret_access_key": SECRET}
    # rclone names the checksum of a part as that of the whole file. One attempt, so that a failure takes less time.
    settings = folder.with_name(f"{folder.name}-aws")
    settings.write_text("[default]\nresponse_checksum_validation = when_required\nmax_attempts = 1\n")
    options["configpath"] = str(settings)
    yield from _serve(Server("s3", _rclone(command, port, folder), port, folder, f"s3://{BUCKET}", **options))


@contextmanager
def webdav_server(folder: Path) -> Iterator[Server]:
    """Serve a new folder in ``folder`` by WebDAV."""
    port = free_port()
    command = [str(RCLONE), "serve", "webdav", f"--user={USER}", f"--pass={SECRET}"]
    url = f"webdav://127.0.0.1:{port}/{BUCKET}"
    # Two jobs that make the same folder at once get "423 Locked" (DVC 4828), so there is one.
    options = {"user": USER, "password": SECRET, "jobs": "1"}
    yield from _serve(Server("webdav", _rclone(command, port, folder), port, folder, url, **options))


@contextmanager
def ssh_server(folder: Path) -> Iterator[Server]:
    """Serve a new folder in ``folder`` by SSH, to whoever runs the tests and has the key in ``folder``."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        SSHD_OWN.mkdir(exist_ok=True)
    for name in ("host_key", "key", "wrong_key"):
        if not (folder / name).exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copyfile(folder / "key.pub", folder / "authorized_keys")
    settings = {
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",  # the folders above belong to the tests
        "AuthenticationMethods": "publickey",
        "PermitRootLogin": "prohibit-password",
        "Subsystem": "sftp internal-sftp",
        "LogLevel": "ERROR",
    }
    (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    command = [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config"), "-o", f"ListenAddress=127.0.0.1:{port}"]
    options = {"user": getpass.getuser(), "keyfile": str(folder / "key")}
    yield from _serve(Server("ssh", command, port, folder, f"ssh://127.0.0.1:{port}{folder / BUCKET}", **options))


SERVERS: dict[str, Callable] = {"s3": s3_server, "webdav": webdav_server, "ssh": ssh_server}


def missing(kind: str) -> str:
    """Say why there can be no server of this kind here; empty if there can."""
    programs = [str(SSHD), "ssh-keygen"] if kind == "ssh" else [str(RCLONE)]
    absent = [program for program in programs if shutil.which(program) is None]
    return f"{absent[0]} is not installed" if absent else ""


def add_remote(workspace: Workspace, server: Server, name: str = "team") -> None:
    """Make the server the default remote: its address in the file that git has, keys in the file that git ignores.

    This is ``dvc remote add --default`` and ``dvc remote modify --local``, which would take seconds as processes. The
    latter file has the address, too: DVC reads it together with the former of a commit, which may be older (DVC 10560).
    """
    for level, keys in (("repo", {}), ("local", server.options)):
        with workspace.entered(), Config(".dvc").edit(level) as config:
            assert isinstance(config, dict)
            config["core"]["remote"] = name
            config["remote"][name] = {"url": server.url, **keys}


def free_port() -> int:
    """A port that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _rclone(command: list[str], port: int, folder: Path) -> list[str]:
    # Nothing of the user's configuration.
    settings = ["--config=", f"--addr=127.0.0.1:{port}", "--log-level=CRITICAL"]
    return [*command, *settings, str(folder)]


def _serve(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()

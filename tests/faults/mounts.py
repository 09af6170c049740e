"""File systems in image files, so that power can be cut and disks can be full. Needs root."""
import errno
import os
import shutil
import subprocess
import time


def missing(*tools):
    """Why these faults cannot be struck here, or None."""
    if os.geteuid() != 0:
        return "needs root for loop mounts"
    lacking = [t for t in ("mount", "umount", *tools) if not shutil.which(t)]
    if lacking:
        return f"needs {', '.join(lacking)}"
    return None if os.path.exists("/dev/loop-control") else "needs loop devices"


class Mount:
    """One image, made and mounted; `close` undoes both."""

    def __init__(self, folder, kind, megabytes):
        self.image, self.point, self.mounted = folder / "image", folder / "mount", False
        self.point.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(megabytes << 20)
        make = ["mkfs.xfs", "-q"] if kind == "xfs" else ["mkfs.ext4", "-q", "-F", "-m", "0"]
        run(*make, str(self.image))
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", str(self.image), str(self.point))
        self.mounted = True

    def unmount(self, patience=10):
        until = time.monotonic() + patience
        while self.mounted:
            done = subprocess.run(["umount", str(self.point)], capture_output=True, text=True)
            self.mounted = done.returncode != 0
            if self.mounted and time.monotonic() > until:
                raise RuntimeError(f"umount: {done.stderr.strip()}")
            if self.mounted:
                time.sleep(0.02)

    def cut_power(self):
        """Nothing that the journal does not have yet reaches the image any more."""
        run("xfs_io", "-x", "-c", "shutdown", str(self.point))

    def is_readonly(self):
        """Newer kernels do not tell by `statvfs`."""
        try:
            (self.point / "probe").touch()
        except OSError as refused:
            return refused.errno == errno.EROFS
        return False

    def again(self):
        self.unmount()
        self.mount()

    def close(self):
        self.unmount()
        self.image.unlink(missing_ok=True)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")

"""Counts a program's system calls on its data folder, over all its threads, and strikes at one of them. x86-64 only.

    calls.py PID MODE NTH NAME,NAME FOLDER

Prints `ready` once it holds all threads, then `NAME PATH` for each counted call before it happens. MODE says what befalls the NTH call:
`kill` (the process dies before it), `fail` (EIO, and the call does not happen), `dead` (EIO for it and all that follow), `watch` (nothing).
Ends with the process or when its standard input does. A program of its own, because whoever holds threads must wait for nothing else.
"""
import ctypes
import os
import signal
import struct
import sys
import threading

NUMBERS = {
    "read": 0, "write": 1, "pread64": 17, "pwrite64": 18, "writev": 20, "preadv": 295, "pwritev": 296, "pwritev2": 328, "preadv2": 327,
    "sendfile": 40, "fsync": 74, "fdatasync": 75, "syncfs": 306, "sync_file_range": 277, "ftruncate": 77, "fallocate": 285, "copy_file_range": 326, "ioctl": 16,
    "getdents64": 217, "openat": 257, "openat2": 437, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "unlink": 87, "unlinkat": 263, "rename": 82,
    "renameat": 264, "renameat2": 316, "link": 86, "linkat": 265, "setxattr": 188, "fsetxattr": 190, "lsetxattr": 189, "removexattr": 197,
    "fremovexattr": 199, "utimensat": 280, "fchmod": 91, "fchmodat": 268,
}
BY_PATH = {"openat", "openat2", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "setxattr",
           "lsetxattr", "removexattr", "utimensat", "fchmodat"}
MAKES = os.O_CREAT | os.O_TRUNC | os.O_TMPFILE & ~os.O_DIRECTORY
SEIZE, INTERRUPT, LISTEN, SYSCALL, INFO, POKE_USER = 0x4206, 0x4207, 0x4208, 24, 0x420e, 6
OPTIONS = 0x1 | 0x8  # calls are told from signals, and new threads are held too
STOPPED, CALL_STOP, ENTRY = 128, signal.SIGTRAP | 0x80, 1
RAX, ORIG_RAX, EIO = 80, 120, 5
ALL_THREADS = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Tracer:
    """Holds the threads of `pid`."""

    def __init__(self, pid, mode, nth, names, folder):
        self.pid, self.mode, self.nth, self.folder = pid, mode, nth, folder
        self.names = {NUMBERS[name]: name for name in names}
        self.count, self.failing = 0, set()

    def hold(self):
        for thread in map(int, os.listdir(f"/proc/{self.pid}/task")):
            ptrace(SEIZE, thread, 0, OPTIONS)
            ptrace(INTERRUPT, thread)

    def run(self):
        """Until the process has ended."""
        waiting = set(os.listdir(f"/proc/{self.pid}/task"))
        while True:
            try:
                thread, status = os.waitpid(-1, ALL_THREADS)
            except ChildProcessError:
                return
            if not os.WIFSTOPPED(status):
                continue
            held = self.stopped(thread, os.WSTOPSIG(status), status >> 16)
            if waiting and not (waiting := waiting - {str(thread)}):
                print("ready", flush=True)
            ptrace(*held)

    def stopped(self, thread, sign, event):
        """What lets the thread go on."""
        if sign == CALL_STOP:
            self.call(thread)
            return SYSCALL, thread
        if event == STOPPED:
            return (LISTEN if sign in (signal.SIGSTOP, signal.SIGTSTP) else SYSCALL), thread
        return SYSCALL, thread, 0, 0 if event else sign

    def call(self, thread):
        room = ctypes.create_string_buffer(88)
        ptrace(INFO, thread, len(room), ctypes.addressof(room))
        op, number, *words = struct.unpack_from("=B23xQ6Q", room)
        if op != ENTRY:
            if thread in self.failing:
                self.failing.remove(thread)
                ptrace(POKE_USER, thread, RAX, 2 ** 64 - EIO)
        elif number in self.names and (path := self.counted(thread, self.names[number], words)):
            self.strike(thread, self.names[number], path)

    def counted(self, thread, name, words):
        """The path the call is about, when it lies in the folder or the call names no handle."""
        if name in ("openat", "openat2"):
            flags = words[2] if name == "openat" else peek(thread, words[2])
            return text(thread, words[1]) if flags & MAKES else None
        if name in BY_PATH:
            return "(name)"
        try:
            path = os.readlink(f"/proc/{self.pid}/fd/{words[1 if name == 'sendfile' else 0] & 0xffffffff}")
        except OSError:
            return None
        return path if path.startswith(self.folder) else None

    def strike(self, thread, name, path):
        self.count += 1
        print(name, path.removeprefix(self.folder), flush=True)
        if self.mode == "kill" and self.count == self.nth:
            os.kill(self.pid, signal.SIGKILL)
        if self.mode == "fail" and self.count == self.nth or self.mode == "dead" and self.count >= self.nth:
            ptrace(POKE_USER, thread, ORIG_RAX, 2 ** 64 - 1)
            self.failing.add(thread)


def ptrace(request, thread, address=0, data=0):
    """A thread that has just died is no error."""
    if libc.ptrace(request, thread, address, data) == -1 and ctypes.get_errno() not in (0, 3):
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}: {os.strerror(ctypes.get_errno())}")


def memory(thread, address, length):
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as words:
        words.seek(address)
        return words.read(length)


def peek(thread, address):
    return int.from_bytes(memory(thread, address, 8), "little")


def text(thread, address):
    """A name, as far as the page goes."""
    return memory(thread, address, 4096 - address % 4096).split(b"\0")[0].decode(errors="replace") or "."


def leave_with_input():
    while os.read(0, 64):
        pass
    os._exit(0)


def main():
    pid, mode, nth, names, folder = sys.argv[1:]
    tracer = Tracer(int(pid), mode, int(nth), names.split(","), folder)
    tracer.hold()
    threading.Thread(target=leave_with_input, daemon=True).start()
    tracer.run()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

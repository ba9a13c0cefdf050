"""Cuts one connection of another process: takes a copy of its socket (pidfd_getfd) and shuts it down.

cut-socket.py PID N: the N-th (modulo their number) of the process's sockets above the standard streams; prints its file descriptor.
"""

import ctypes
import os
import socket
import sys

PIDFD_GETFD = 438

pid, n = int(sys.argv[1]), int(sys.argv[2])
folder = f"/proc/{pid}/fd"
sockets = sorted(int(fd) for fd in os.listdir(folder) if int(fd) >= 3 and os.readlink(f"{folder}/{fd}").startswith("socket:"))
if not sockets:
    sys.exit("no socket")
fd = sockets[n % len(sockets)]
libc = ctypes.CDLL(None, use_errno=True)
copy = libc.syscall(PIDFD_GETFD, os.pidfd_open(pid), fd, 0)
if copy < 0:
    sys.exit(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
socket.socket(fileno=copy).shutdown(socket.SHUT_RDWR)
print(fd)

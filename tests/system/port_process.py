"""The process of a port in tests: `port_process.py <socket> [stubborn|broken|forking]`.

It listens on a unix socket, says on stdout what happens to it, closes the socket on SIGUSR1 and
opens it again on SIGUSR2. *stubborn* ignores the stop signals, *broken* ends at once with 7,
*forking* has a child process, whose pid it says.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

PATH, MODE = sys.argv[1], sys.argv[2:3]
listener: socket.socket | None = None


def say(what: str) -> None:
    os.write(1, f"{what}\n".encode())


def listen(*_: object) -> None:
    global listener
    Path(PATH).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(PATH)
    listener.listen()


def close(*_: object) -> None:
    if listener is not None:
        listener.close()


def stop(number: int, _: object) -> None:
    say(signal.Signals(number).name)
    if MODE != ["stubborn"]:
        sys.exit(0)


if MODE == ["broken"]:
    sys.exit(7)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, stop)
signal.signal(signal.SIGUSR1, close)
signal.signal(signal.SIGUSR2, listen)
if MODE == ["forking"]:
    say(f"child {subprocess.Popen(['sleep', '600']).pid}")
say(f"started in {Path.cwd()} with {os.environ.get('GREETING')}")
listen()
while True:
    signal.pause()

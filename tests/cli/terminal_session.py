"""Runs a command on a pseudo-terminal: terminal_session.py STEPS COMMAND…

STEPS is JSON: [["expect", "text"], ["send", "bytes in hex"], …]. Prints JSON: what the terminal showed (in hex), how the command
ended, and whether the terminal's settings are afterwards what they were before.
"""

import json
import os
import pty
import select
import subprocess
import sys
import termios
import time

steps = json.loads(sys.argv[1])
master, slave = pty.openpty()
before = termios.tcgetattr(slave)
child = subprocess.Popen(sys.argv[2:], stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
output = b""
seen = 0
raw = False
deadline = time.monotonic() + 20


def read(timeout):
    global output
    if select.select([master], [], [], timeout)[0]:
        output += os.read(master, 65536)


for kind, text in steps:
    if kind == "send":
        raw = raw or termios.tcgetattr(slave)[3] & termios.ICANON == 0
        data = bytes.fromhex(text)
        while data:
            data = data[os.write(master, data) :]
            read(0)
    elif kind == "signal":
        child.send_signal(int(text))
    else:
        while output.find(text.encode(), seen) < 0:
            if time.monotonic() > deadline or child.poll() is not None:
                break
            read(0.05)
        seen = max(output.find(text.encode(), seen) + len(text), seen)
while child.poll() is None and time.monotonic() < deadline:
    read(0.05)
while select.select([master], [], [], 0)[0]:
    read(0)
if child.poll() is None:
    child.kill()
    child.wait()
result = {"output": output.hex(), "code": child.returncode, "raw": raw, "restored": termios.tcgetattr(slave) == before}
print(json.dumps(result))

"""A worker for Alcedo's pool in plain Python: it says what it was asked, and sends the body back.

    alcedo pool -- python3 worker.py

docs/workers.md has the protocol: packets come on standard input, answers go to file descriptor 3.
"""

import os
import struct
import sys


def handle(method, uri, headers, body):
    """Answers a request: status, headers, body. This is the part to change."""
    return 200, {
        "Content-Type": ["text/plain; charset=utf-8"],
        "Set-Cookie": ["visited=yes", "worker=python"],
    }, f"{method} {uri}\n".encode() + body


class Message:
    """What is left to be read of a message."""

    def __init__(self, content):
        self.content, self.at = content, 0

    def uint(self):
        value = shift = 0
        while True:
            byte = self.content[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def data(self):
        size = self.uint()
        self.at += size
        return self.content[self.at - size:self.at]

    def str(self):
        return self.data().decode()


def uint(value):
    if value < 0x80:
        return bytes([value])
    return bytes([value & 0x7F | 0x80]) + uint(value >> 7)


def data(content):
    return uint(len(content)) + content


def response(status, headers, body):
    fields = b"".join(
        data(name.encode()) + uint(len(values)) + b"".join(data(value.encode()) for value in values)
        for name, values in headers.items()
    )
    return uint(0) + uint(status) + uint(len(headers)) + fields + data(body)


def answer(message):
    if message.uint() == 1:  # A health check, to which any answer will do.
        return response(200, {}, b"")
    _remote_address, uri, method = message.str(), message.str(), message.str()
    headers = {message.str(): message.str() for _ in range(message.uint())}
    return response(*handle(method, uri, headers, message.data()))


def main():
    requests, answers = sys.stdin.buffer, os.fdopen(3, "wb")
    while size := requests.read(4):
        content = requests.read(*struct.unpack("<i", size))
        packet = answer(Message(content))
        answers.write(struct.pack("<i", len(packet)) + packet)
        answers.flush()


main()

#!/usr/bin/python3
"""A service as Cyrus's are: one connection after the other, only messages 1 to 3 on descriptor 3."""
import os
import signal
import socket
import struct


def tell(message):
    os.write(3, struct.pack("=ii", message, os.getpid()))


signal.signal(signal.SIGHUP, lambda *_: os._exit(0))
listening = socket.socket(fileno=4)
tell(1)
while True:
    client, _ = listening.accept()
    tell(2)
    tell(3)
    client.sendall(b"hello %d\r\n" % os.getpid())
    while client.recv(1000):
        pass
    client.close()
    tell(1)

#!/usr/bin/env python3
"""An ssh server that asks its users what it likes and records what it is told.

usage: prompts.py HOST_KEY RECORD PROMPTS

Listens on a free port of 127.0.0.1 and prints its number.  User "pN", after any
key, and user "qN", without one, are asked line N of the file PROMPTS by
keyboard-interactive.  "NAME asked" and "NAME answered TEXT" are appended to
RECORD.  Nobody is let in.
"""

import socket
import sys
import threading

import paramiko


class Server(paramiko.ServerInterface):
    def __init__(self, record, prompts):
        self.record, self.prompts = record, prompts

    def note(self, text):
        with open(self.record, "a", encoding="utf-8") as record:
            record.write(text + "\n")

    def get_allowed_auths(self, username):
        return "publickey" if username[0] == "p" else "keyboard-interactive"

    def check_auth_publickey(self, username, key):
        if username[0] != "p":
            return paramiko.AUTH_FAILED
        self.get_allowed_auths = lambda username: "keyboard-interactive"
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_interactive(self, username, submethods):
        self.username = username
        self.note(username + " asked")
        prompt = self.prompts[int(username[1:]) - 1]
        return paramiko.InteractiveQuery("", "", (prompt + " ", False))

    def check_auth_interactive_response(self, responses):
        self.note(self.username + " answered " + " ".join(responses))
        return paramiko.AUTH_FAILED


def serve(connection, host_key, server):
    transport = paramiko.Transport(connection)
    transport.add_server_key(host_key)
    try:
        transport.start_server(server=server)
    except (paramiko.SSHException, EOFError):
        return
    transport.join()


def main():
    host_key = paramiko.Ed25519Key.from_private_key_file(sys.argv[1])
    with open(sys.argv[3], encoding="utf-8") as f:
        prompts = f.read().splitlines()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        server = Server(sys.argv[2], prompts)
        threading.Thread(
            target=serve, args=(connection, host_key, server), daemon=True
        ).start()


main()

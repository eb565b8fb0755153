#!/usr/bin/env python3
"""A peer of the rail protocol, written from its section in docs/WIRE.md and from nothing else.

    rail_peer.py open PORT     connects to a rail port on ::1
    rail_peer.py accept        prints the port that it listens on, and ends when its standard input does

It sends --send bytes of a pattern, expects --expect bytes of it, and prints "complete" when the session ended as it
should. Meanwhile --cuts times a rail breaks: it is closed, reset, or left open and silent.
"""
import argparse
import os
import random
import selectors
import socket
import struct
import sys
import time

HELLO, REPLY = b"DCFTBSTR", b"DCFTBSTA"
GREETING = struct.Struct(">8sBB2sI16s16sQ")
FRAME = struct.Struct(">B3sIQ")
DATA, ACK, FINISH, RESET, ALIVE = range(5)
WINDOW = 300_000
PATTERN = bytes((i * i + i // 251) & 255 for i in range(65_521)) * 18


def pattern(opener, start, end):
    first = (start + 1_000 * opener) % 65_521
    return PATTERN[first:first + end - start]


class Rail:
    def __init__(self, sock, greeting):
        sock.setblocking(False)
        self.sock, self.input, self.output = sock, bytearray(), bytearray(greeting)
        self.granted = self.refused = self.has_final_ack = False


class Peer:
    def __init__(self, options):
        self.options, self.opener = options, options.role == "open"
        self.random = random.Random(options.seed)
        self.host, self.peer_host = self.random.randbytes(16), None
        self.session = self.random.randbytes(16) if self.opener else None
        self.selector, self.rails, self.silent = selectors.DefaultSelector(), [], []
        # Sending: what is acknowledged, never sent, allowed; what is in flight as (start, end, rail), and lost.
        self.acked, self.next, self.limit, self.flying, self.lost = 0, 0, 0, [], []
        # Receiving: the bytes in order, the lengths of what is ahead of them, and the end once it is known.
        self.position, self.ahead, self.length = 0, {}, None
        self.ended = self.final_ack_sent = False
        self.connect_at, self.cut_at = 0, time.monotonic()

    def received(self):
        return self.position + (self.position == self.length)

    def has_all(self):
        return self.position == self.length

    def is_all_acked(self):
        return self.acked == self.options.send + 1

    def greeting(self, magic, kind, session, offset):
        return GREETING.pack(magic, 1, kind, b"\0\0", WINDOW, session, self.host, offset)

    def add(self, sock, greeting):
        self.rails.append(Rail(sock, greeting))
        self.selector.register(sock, selectors.EVENT_READ, self.rails[-1])

    def remove(self, rail):
        """What is in flight on a rail has to go over others, and so do acknowledgements."""
        self.rails.remove(rail)
        self.selector.unregister(rail.sock)
        self.lost = sorted(self.lost + [(start, end) for start, end, it in self.flying if it is rail])
        self.flying = [it for it in self.flying if it[2] is not rail]
        self.connect_at = time.monotonic() + 0.02
        for other in self.rails:
            if other.granted:
                self.send_ack(other)

    def drop(self, rail, reset=False):
        self.remove(rail)
        if reset:
            rail.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rail.sock.close()

    def send_ack(self, rail):
        rail.output += FRAME.pack(ACK, b"\0\0\0", WINDOW, self.received())
        rail.has_final_ack |= self.has_all()

    def acknowledge(self, offset, window):
        assert offset <= self.next, f"{offset} is acknowledged, {self.next} was sent"
        self.acked, self.limit = max(self.acked, offset), max(self.limit, offset + window)
        self.flying = [it for it in self.flying if it[1] > offset]
        self.lost = [(max(start, offset), end) for start, end in self.lost if end > offset]

    def greet(self, rail, header):
        magic, version, kind, zero, window, session, host, offset = GREETING.unpack(header)
        assert (magic, version, zero) == (REPLY if self.opener else HELLO, 1, b"\0\0"), header
        if self.opener:
            assert session == self.session and kind in (0, 1), header
            if kind == 1:
                assert self.is_all_acked() or offset == self.options.send + 1, "it does not know the session"
                self.ended = True
                return
        elif self.ended or (self.session is None and kind == 1):
            rail.output += self.greeting(REPLY, 1, session, self.received() if self.ended else 0)
            rail.refused = True
            return
        else:
            self.session = self.session or session
            rail.output += self.greeting(REPLY, 0, session, self.received())
        assert session == self.session and self.peer_host in (None, host)
        self.peer_host, rail.granted = host, True
        self.acknowledge(offset, window)
        self.send_ack(rail)

    def take(self, rail, kind, length, offset, payload):
        if kind == DATA:
            assert 1 <= length and offset + length <= self.position + WINDOW, "beyond the window"
            assert self.length is None or offset + length <= self.length, "beyond the finish"
            assert payload == pattern(not self.opener, offset, offset + length), f"wrong bytes at {offset}"
            self.ahead[offset] = max(length, self.ahead.get(offset, 0))
            for start in sorted(self.ahead):
                if start <= self.position:
                    self.position = max(self.position, start + self.ahead.pop(start))
        elif kind == ACK:
            return self.acknowledge(offset, length)
        elif kind == FINISH:
            assert length == 0 and self.length in (None, offset)
            self.length = offset
        else:
            assert kind == ALIVE and length == 0, f"{kind}: {payload}"
        self.send_ack(rail)

    def parse(self, rail):
        if not rail.granted and len(rail.input) >= GREETING.size:
            header = bytes(rail.input[:GREETING.size])
            del rail.input[:GREETING.size]
            self.greet(rail, header)
        while rail.granted and len(rail.input) >= FRAME.size:
            kind, zero, length, offset = FRAME.unpack_from(rail.input)
            end = FRAME.size + (length if kind in (DATA, RESET) else 0)
            assert zero == b"\0\0\0" and end <= FRAME.size + (1 << 20)
            if len(rail.input) < end:
                return
            payload = bytes(rail.input[FRAME.size:end])
            del rail.input[:end]
            self.take(rail, kind, length, offset, payload)

    def wants_to_send(self):
        return self.lost or self.next < min(self.options.send, self.limit) or self.next == self.options.send

    def fill(self, rail):
        """The next chunk, of any size: lost ones first."""
        total = self.options.send
        start, end = self.lost.pop(0) if self.lost else (self.next, max(min(total, self.limit), self.next))
        if start == total:
            stop = end = total + 1
            rail.output += FRAME.pack(FINISH, b"\0\0\0", 0, total)
        else:
            stop = min(end, total, start + self.random.randint(1, 60_000))
            rail.output += FRAME.pack(DATA, b"\0\0\0", stop - start, start) + pattern(self.opener, start, stop)
        if stop < end and start < self.next:
            self.lost.insert(0, (stop, end))
        self.next = max(self.next, stop)
        self.flying.append((start, stop, rail))

    def serve(self, rail, events):
        try:
            if events & selectors.EVENT_READ:
                data = rail.sock.recv(100_000)
                rail.input += data
                self.parse(rail)
                if not data:
                    self.ended |= self.opener and self.is_all_acked() and self.has_all()
                    return self.drop(rail)
            if not rail.output and rail.granted and self.wants_to_send():
                self.fill(rail)
            del rail.output[:rail.sock.send(rail.output)]
            if not rail.output:
                self.final_ack_sent |= rail.has_final_ack
                if rail.refused:
                    self.drop(rail)
        except BlockingIOError:
            pass
        except OSError:
            self.drop(rail)

    def cut(self, now):
        living = [rail for rail in self.rails if rail.granted]
        if self.options.cuts and now >= self.cut_at and living:
            self.options.cuts -= 1
            self.cut_at = now + self.random.uniform(0, 0.04)
            rail, how = self.random.choice(living), self.random.randrange(3)
            if how < 2:
                return self.drop(rail, how == 1)
            self.remove(rail)
            self.silent.append((now + 0.6, rail.sock))
        self.silent = [it for it in self.silent if it[0] > now]  # the others are closed

    def step(self):
        now = time.monotonic()
        self.cut(now)
        wanted = 1 if self.peer_host is None else self.options.rails
        if self.opener and len(self.rails) < wanted and now >= self.connect_at:
            kind = 0 if self.peer_host is None else 1
            sock = socket.create_connection(("::1", self.options.port), 5)
            self.add(sock, self.greeting(HELLO, kind, self.session, self.received()))
        for rail in self.rails:
            writes = rail.output or (rail.granted and self.wants_to_send())
            self.selector.modify(rail.sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0), rail)
        for key, events in self.selector.select(0.005):
            if key.data in self.rails:
                self.serve(key.data, events)
            elif key.data == "listener":
                self.add(key.fileobj.accept()[0], b"")
            elif key.data == "input" and not os.read(0, 100):
                sys.exit(0 if self.ended else "not complete")
        if not self.opener and not self.ended:
            self.ended = self.is_all_acked() and self.has_all() and self.final_ack_sent
            for rail in [it for it in self.rails if it.granted and self.ended]:
                self.drop(rail)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["open", "accept"])
    parser.add_argument("port", type=int, nargs="?")
    for name in ("--send", "--expect", "--rails", "--cuts", "--seed"):
        parser.add_argument(name, type=int, default=0)
    peer = Peer(parser.parse_args())
    if not peer.opener:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=64)
        peer.selector.register(listener, selectors.EVENT_READ, "listener")
        peer.selector.register(0, selectors.EVENT_READ, "input")
        print(listener.getsockname()[1], flush=True)
    while not peer.ended:
        peer.step()
    assert peer.position == peer.options.expect == peer.length, "not all arrived"
    print("complete", flush=True)
    while not peer.opener:
        peer.step()


main()

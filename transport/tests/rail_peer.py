#!/usr/bin/env python3
"""A peer of the rail protocol, written from its section in docs/WIRE.md and from nothing else.

`open PORT` connects to ::1, `accept` prints its port and ends with its standard input. It sends --send bytes of a
pattern, expects --expect bytes of it, and prints "complete" when the session ended as it should. Meanwhile --cuts
times a rail breaks: it is closed, reset, or left open and silent.
"""
import argparse, random, selectors, socket, struct, sys, time

HELLO, REPLY = b"DCFTBSTR", b"DCFTBSTA"
GREETING = struct.Struct(">8sBB2sI16s16sQ")
FRAME = struct.Struct(">B3sIQ")
DATA, ACK, FINISH, RESET, ALIVE = range(5)
WINDOW = 300_000
PATTERN = bytes((i * i + i // 251) & 255 for i in range(65_521)) * 18

def pattern(opener, start, length):
    return PATTERN[(start + 1_000 * opener) % 65_521:][:length]

class Rail:
    def __init__(self, sock, greeting):
        sock.setblocking(False)
        self.sock, self.input, self.output = sock, bytearray(), bytearray(greeting)
        self.granted = self.refused = False

class Peer:
    def __init__(self, options):
        self.options, self.opener, self.random = options, options.role == "open", random.Random(options.seed)
        self.host, self.peer_host = self.random.randbytes(16), None
        self.session = self.random.randbytes(16) if self.opener else None
        self.selector, self.rails, self.silent = selectors.DefaultSelector(), [], []
        # Sending: the ends of acknowledged, sent and allowed bytes; ranges in flight (start, end, rail) and lost.
        self.acked, self.next, self.limit, self.flying, self.lost = 0, 0, 0, [], []
        # Receiving: the bytes in order, the lengths of ranges ahead of them, and the end once it is known.
        self.position, self.ahead, self.length = 0, {}, None
        self.ended, self.connect_at, self.cut_at = False, 0, time.monotonic()

    def granted(self):
        return [rail for rail in self.rails if rail.granted]

    def received(self):
        return self.position + (self.position == self.length)

    def is_complete(self):
        return self.acked == self.options.send + 1 and self.position == self.length

    def greeting(self, kind, session, offset):
        return GREETING.pack(HELLO if self.opener else REPLY, 1, kind, b"\0\0", WINDOW, session, self.host, offset)

    def add(self, sock, greeting=b""):
        self.rails.append(Rail(sock, greeting))
        self.selector.register(sock, selectors.EVENT_READ, self.rails[-1])

    def drop(self, rail, silence=0):
        self.rails.remove(rail)
        self.selector.unregister(rail.sock)
        self.lost = sorted(self.lost + [(start, end) for start, end, it in self.flying if it is rail])
        self.flying = [it for it in self.flying if it[2] is not rail]
        self.connect_at = time.monotonic() + 0.02
        self.silent.append((time.monotonic() + silence, rail.sock))  # it is closed when it leaves this list
        for other in self.granted():
            self.send_ack(other)

    def send(self, rail, kind, length, offset, payload=b""):
        rail.output += FRAME.pack(kind, b"\0\0\0", length, offset) + payload

    def send_ack(self, rail):
        self.send(rail, ACK, WINDOW, self.received())

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
                assert self.is_complete() or offset == self.options.send + 1, "it does not know the session"
                self.ended = True
                return
        else:
            rail.refused = self.ended or (self.session is None and kind == 1)
            rail.output += self.greeting(int(rail.refused), session, self.received())
            if rail.refused:
                return
        assert self.session in (None, session) and self.peer_host in (None, host)
        self.session, self.peer_host, rail.granted = session, host, True
        self.acknowledge(offset, window)
        self.send_ack(rail)

    def take(self, rail, kind, length, offset, payload):
        if kind == DATA:
            assert 1 <= length and offset + length <= self.position + WINDOW, "beyond the window"
            assert self.length is None or offset + length <= self.length, "beyond the finish"
            assert payload == pattern(not self.opener, offset, length), f"wrong bytes at {offset}"
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
            self.greet(rail, bytes(rail.input[:GREETING.size]))
            del rail.input[:GREETING.size]
        while rail.granted and len(rail.input) >= FRAME.size:
            kind, zero, length, offset = FRAME.unpack_from(rail.input)
            end = FRAME.size + (length if kind in (DATA, RESET) else 0)
            assert zero == b"\0\0\0" and end <= FRAME.size + (1 << 20)
            if len(rail.input) < end:
                return
            self.take(rail, kind, length, offset, bytes(rail.input[FRAME.size:end]))
            del rail.input[:end]

    def wants_to_send(self):
        return self.lost or self.next < min(self.options.send, self.limit) or self.next == self.options.send

    def fill(self, rail):
        total = self.options.send
        start, end = self.lost.pop(0) if self.lost else (self.next, max(min(total, self.limit), self.next))
        if start == total:
            stop = end = total + 1
            self.send(rail, FINISH, 0, total)
        else:
            stop = min(end, total, start + self.random.randint(1, 60_000))
            self.send(rail, DATA, stop - start, start, pattern(self.opener, start, stop - start))
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
                    self.ended |= self.opener and self.is_complete()
                    return self.drop(rail)
            if not rail.output and rail.granted and self.wants_to_send():
                self.fill(rail)
            del rail.output[:rail.sock.send(rail.output)]
            if rail.refused and not rail.output:
                self.drop(rail)
        except BlockingIOError:
            pass
        except OSError:
            self.drop(rail)

    def cut(self, now):
        if self.options.cuts and now >= self.cut_at and self.granted():
            self.options.cuts, self.cut_at = self.options.cuts - 1, now + self.random.uniform(0, 0.04)
            rail = self.random.choice(self.granted())
            if self.random.randrange(3) == 0:
                rail.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.drop(rail, self.random.choice([0, 0, 0.6]))
        self.silent = [it for it in self.silent if it[0] > now]

    def step(self):
        now = time.monotonic()
        self.cut(now)
        wanted = 1 if self.peer_host is None else self.options.rails
        if self.opener and len(self.rails) < wanted and now >= self.connect_at:
            sock = socket.create_connection(("::1", self.options.port), 5)
            self.add(sock, self.greeting(0 if self.peer_host is None else 1, self.session, self.received()))
        for rail in self.rails:
            writes = rail.output or (rail.granted and self.wants_to_send())
            self.selector.modify(rail.sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0), rail)
        for key, events in self.selector.select(0.005):
            if key.data in self.rails:
                self.serve(key.data, events)
            elif key.data == "listener":
                self.add(key.fileobj.accept()[0])
            elif key.data == "input":
                sys.exit(0 if self.ended else "not complete")
        acks_are_sent = self.granted() and not any(rail.output for rail in self.granted())
        if not self.opener and self.is_complete() and acks_are_sent:
            self.ended = True
            for rail in self.granted():
                self.drop(rail)

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

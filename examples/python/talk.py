#!/usr/bin/env python3
"""Messages, round trips and a stream between two hosts, in Python.

    talk.py INTERFACE echo           on one host: sends back what comes, until Ctrl-C or SIGTERM
    talk.py INTERFACE [PEER]         on the other: talks to it; without PEER to whom it discovers

    talk.py lo                       on one host, to itself
"""

import os
import select
import signal
import sys
import threading

import dcf_thunderbolt as tb

PATIENCE_MS = 10000


def echo(transport):
    """Handles messages and streams on one thread: the descriptor is readable while any of them waits."""
    stop, stopped = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.write(stopped, b"."))
    print("echoing", flush=True)
    while True:
        ready, _, _ = select.select([transport, stop], [], [])
        if stop in ready:
            return
        try:
            message, sender = transport.recv(timeout_ms=0)
            transport.send(sender, message)
        except tb.Timeout:
            pass  # it was a stream
        try:
            threading.Thread(target=echo_stream, args=[transport.accept(timeout_ms=0)], daemon=True).start()
        except tb.Timeout:
            pass  # it was a message


def echo_stream(stream):
    with stream:
        while data := stream.read():
            stream.write(data)
        stream.finish()


def talk(transport, peer):
    print(f"round trip {transport.measure_rtt(peer, PATIENCE_MS) * 1e6:.1f} µs")
    series = transport.ping(peer, 50, interval_us=0, timeout_ms=PATIENCE_MS)
    print(f"{series.received} of {series.sent} answered, p50 {series.p50_ns / 1e3:.1f} µs")

    for number in range(50):
        message = b"message %d" % number
        transport.send(peer, message)
        answer, sender = transport.recv(PATIENCE_MS)
        if answer != message:
            raise SystemExit(f"{sender} answered {answer!r} to {message!r}")
    print("50 messages came back")

    data = os.urandom(5_000_000)
    with transport.open_stream(peer) as stream:
        # Write on another thread: writing everything before reading would block for ever once the buffers are full.
        writer = threading.Thread(target=lambda: (stream.write(data, PATIENCE_MS), stream.finish()))
        writer.start()
        back = stream.read_all(PATIENCE_MS)
        writer.join()
    if back != data:
        raise SystemExit(f"{len(back)} of {len(data)} bytes came back, or others")
    print(f"{len(back)} bytes came back over a stream")


def talk_to_itself():
    with tb.Transport(interface_name="lo", control_port=0, data_port=0) as other:
        control, data = other.ports()
        with tb.Transport(interface_name="lo", control_port=0, data_port=0) as transport:
            peer = f"[::1%lo]:{control}"
            transport.send(peer, b"hello")
            message, sender = other.recv(PATIENCE_MS)
            print(f"{message.decode()} from {sender}")
            print(f"round trip {transport.measure_rtt(peer, PATIENCE_MS) * 1e6:.1f} µs")
            with transport.open_stream(f"[::1%lo]:{data}") as near, other.accept(PATIENCE_MS) as far:
                near.write(b"over a stream")
                near.finish()
                print(f"{far.read_all(PATIENCE_MS).decode()} from {far.peer()}")


def main(arguments):
    if arguments == ["lo"]:
        return talk_to_itself()
    if not 1 <= len(arguments) <= 2:
        raise SystemExit(__doc__)
    with tb.Transport(interface_name=arguments[0]) as transport:
        if arguments[1:] == ["echo"]:
            return echo(transport)
        peers = arguments[1:] or transport.discover_first()
        if not peers:
            raise SystemExit("no peer answered")
        return talk(transport, peers[0])


if __name__ == "__main__":
    main(sys.argv[1:])

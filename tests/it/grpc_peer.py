"""Both ends of gRPC, for calls through the proxy.

    grpc_peer.py server PORT
    grpc_peer.py calls|status-of|wait HOST:PORT

Messages are octets as they are, so that it needs no generated code. `calls` prints a line per kind of
call and ends with 1 when one went wrong; the other two print the status of one call.
"""

import queue
import sys
import time
from concurrent import futures

import grpc

OPTIONS = [("grpc.max_receive_message_length", 32 << 20), ("grpc.max_send_message_length", 32 << 20)]
SERVICE = "tradewind.Peer"


def echo(request, context):
    for key, value in context.invocation_metadata():
        if key == "x-back":
            context.send_initial_metadata([("x-back", value)])
        if key == "x-trail-bin":
            context.set_trailing_metadata([("x-trail-bin", value)])
    return request


def fail(request, context):
    code, _, words = request.partition(b" ")
    by_number = {c.value[0]: c for c in grpc.StatusCode}
    context.abort(by_number[int(code)], words.decode())


def wait(request, context):
    print("called", file=sys.stderr, flush=True)
    end = time.monotonic() + 30
    while context.is_active() and time.monotonic() < end:
        time.sleep(0.02)
    return b""


def total(requests, context):
    return str(sum(len(r) for r in requests)).encode()


def repeat(request, context):
    size, times = map(int, request.split())
    for _ in range(times):
        yield b"r" * size


def backwards(requests, context):
    for request in requests:
        yield request[::-1]


def serve(port):
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Repeat": grpc.unary_stream_rpc_method_handler(repeat),
        "Backwards": grpc.stream_stream_rpc_method_handler(backwards),
    }
    server = grpc.server(futures.ThreadPoolExecutor(64), options=OPTIONS)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    if server.add_insecure_port(f"127.0.0.1:{port}") == 0:
        sys.exit("the port is taken")
    server.start()
    server.wait_for_termination()


class Calls:
    def __init__(self, target):
        channel = grpc.insecure_channel(target, OPTIONS)
        path = "/" + SERVICE + "/"
        self.echo = channel.unary_unary(path + "Echo")
        self.fail = channel.unary_unary(path + "Fail")
        self.slow = channel.unary_unary(path + "Wait")
        self.nothing = channel.unary_unary(path + "Nothing")
        self.total = channel.stream_unary(path + "Total")
        self.repeat = channel.unary_stream(path + "Repeat")
        self.backwards = channel.stream_stream(path + "Backwards")

    def code_of(self, call, *args, **kwargs):
        try:
            call(*args, **kwargs)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return "OK", ""

    def unary(self):
        return self.echo(b"x", timeout=20) == b"x" and self.echo(b"", timeout=20) == b""

    def large(self):
        message = bytes(range(256)) * 40_000
        return self.echo(message, timeout=30) == message

    def client_stream(self):
        return self.total(iter([b"x" * n for n in (1, 70_000, 3)]), timeout=20) == b"70004"

    def server_stream(self):
        return [len(m) for m in self.repeat(b"30000 20", timeout=20)] == [30_000] * 20

    def both_streams(self):
        # Each answer is awaited before the next message goes: nothing may wait for the end.
        messages = queue.Queue()
        answers = self.backwards(iter(messages.get, None), timeout=20)
        for message in (b"abc", b"d" * 50_000 + b"e", b""):
            messages.put(message)
            if next(answers) != message[::-1]:
                return False
        messages.put(None)
        return list(answers) == []

    def empty_stream(self):
        return list(self.backwards(iter([]), timeout=20)) == []

    def metadata(self):
        sent = (("x-back", "there"), ("x-trail-bin", b"\x00\xff\x80"))
        _, call = self.echo.with_call(b"x", metadata=sent, timeout=20)
        back = dict(call.initial_metadata()).get("x-back")
        trail = dict(call.trailing_metadata()).get("x-trail-bin")
        return back == "there" and trail == b"\x00\xff\x80"

    def status(self):
        return self.code_of(self.fail, b"9 not now", timeout=20) == ("FAILED_PRECONDITION", "not now")

    def status_words(self):
        words = "\t\n\u00e9\u4e16 100%"
        return self.code_of(self.fail, b"2 " + words.encode(), timeout=20) == ("UNKNOWN", words)

    def unimplemented(self):
        return self.code_of(self.nothing, b"", timeout=20)[0] == "UNIMPLEMENTED"

    def cancelled(self):
        call = self.slow.future(b"", timeout=20)
        time.sleep(0.2)
        call.cancel()
        # The connection lives on.
        return call.cancelled() and self.unary()

    def deadline(self):
        began = time.monotonic()
        code = self.code_of(self.slow, b"", timeout=0.5)[0]
        return code == "DEADLINE_EXCEEDED" and time.monotonic() - began < 5

    def at_once(self):
        calls = [self.echo.future(str(n).encode() * 100, timeout=30) for n in range(200)]
        return all(c.result() == str(n).encode() * 100 for n, c in enumerate(calls))

    def trailers_only(self):
        return self.code_of(self.fail, b"5 ", timeout=20) == ("NOT_FOUND", "")


def check(target):
    calls = Calls(target)
    names = [n for n in vars(Calls) if not n.startswith("_") and n not in ("code_of",)]
    wrong = 0
    for name in names:
        try:
            said = "ok" if getattr(calls, name)() else "wrong"
        except grpc.RpcError as error:
            said = f"{error.code().name} {error.details()}"
        wrong += said != "ok"
        print(f"{name.replace('_', '-')}: {said}", flush=True)
    return 1 if wrong else 0


what, where = sys.argv[1:]
if what == "server":
    serve(where)
elif what == "calls":
    sys.exit(check(where))
else:
    calls = Calls(where)
    call = calls.echo if what == "status-of" else calls.slow
    print(calls.code_of(call, b"", timeout=25)[0])

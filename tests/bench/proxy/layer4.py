"""The proxies at layer 4: one worker each, nothing read but octets, nothing logged.

Each has a backend of its own, so that the ports which closed connections leave behind at one are not searched
by another. HAProxy is there three times: with `option splice-auto`, by which it splices streams and copies what is
short, as whoever configures it for speed has it; splicing whatever comes; and copying, as without a word
about it. nginx copies through buffers of 64 KiB. HAProxy does not forward datagrams.
"""

import os
import socket
import threading

from proxies import CONNECTIONS, LONG, Backend, Haproxy, Nginx, Proxy, Tradewind, read_ready
from servers import StartError, free_port

STREAMS = ["tcp-bulk", "tcp-round", "tcp-one", "tcp-connect"]
DATAGRAMS = ["udp"]

# nginx's layer 4.
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

# Octets of a request, and of a long stream: as in load/workload.rs.
ASKED = 64
BULK = 1 << 20

# What a figure of a workload is told in: its name, and how many of it an answer is.
UNITS = {
    "tcp-bulk": ("s/GB", BULK / 1e9 * 1e6),
    "tcp-round": ("µs/round trip", 1),
    "tcp-one": ("µs/round trip", 1),
    "tcp-connect": ("µs/connection", 1),
    "udp": ("µs/datagram and its answer", 1),
}

# What Tradewind's CPU time is to be at most, as a share of a rival's.
TARGETS = [
    ("tcp-bulk", "haproxy", 0.45),
    # Where its splicing has no effect, as in the measurement that the target is from.
    ("tcp-bulk", "haproxy-copy", 0.45),
    ("tcp-round", "haproxy", 1.05),
    ("tcp-connect", "haproxy", 1.1),
    ("udp", "nginx", 0.9),
]


class Octets(Backend):
    """What is behind one of them."""

    name = "octets"

    def start(self):
        words = self.begin().split()
        if words[:1] != ["ready"]:
            raise StartError("the backend of layer 4 does not start")
        self.tcp, self.udp = words[1:]


class Layer4(Proxy):
    """What all of them have."""

    # Whether it forwards datagrams.
    datagrams = True

    def __init__(self, home, tools, tag=""):
        super().__init__(home, tools, f"-layer4{tag}")
        self.backend = Octets(self.home, tools)
        self.datagrams = self.datagrams and tools.datagrams
        self.udp_port = 0

    def start(self):
        self.backend.start()
        super().start()

    def stop(self):
        super().stop()
        self.backend.stop()

    def addresses(self):
        found = dict.fromkeys(STREAMS, f"127.0.0.1:{self.port}")
        if self.datagrams:
            found |= dict.fromkeys(DATAGRAMS, f"127.0.0.1:{self.udp_port}")
        return found

    def wrong(self):
        """What does not come back as it must; nothing when all is well."""
        try:
            return self.wrong_streams() or (self.wrong_datagrams() if self.datagrams else None)
        except OSError as error:
            return str(error)

    def wrong_streams(self):
        stream = self.tools.stream
        # Long streams to the client, twice on one connection.
        with self.connect() as connection:
            for _ in range(2):
                connection.sendall(b"b" * ASKED)
                if read(connection, BULK) != stream:
                    return "a long stream does not arrive as it was sent"
        # Both ways at once; the client's end goes through, and what was under way still comes back.
        sent = b"e" + stream
        with self.connect() as connection:
            sender = threading.Thread(target=lambda: (connection.sendall(sent), connection.shutdown(socket.SHUT_WR)))
            sender.start()
            back = read(connection, len(sent) + 1)
            sender.join()
            if back != sent:
                return f"{len(back)} octets came back of {len(sent)}, or others"
        # The exchange of tcp-round and tcp-connect.
        for _ in range(2):
            with self.connect() as connection:
                for _ in range(2):
                    asked = b"e" + os.urandom(ASKED - 1)
                    connection.sendall(asked)
                    if read(connection, ASKED) != asked:
                        return "a short exchange does not come back"
        return None

    def wrong_datagrams(self):
        for _ in range(3):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(2)
                client.connect(("127.0.0.1", self.udp_port))
                for size in (ASKED, 1, 1400):
                    asked = os.urandom(size)
                    client.send(asked)
                    if client.recv(2000) != asked:
                        return f"a datagram of {size} octets does not come back"
        return None

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)


def read(connection, most):
    """What comes until so many octets are there or the other side ends."""
    parts = []
    while most > 0 and (part := connection.recv(min(most, 1 << 16))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


class Tradewind4(Layer4, Tradewind):
    def config(self):
        datagrams = f"""[listeners.datagrams]
bind = ["127.0.0.1:0"]
protocol = "udp"
forward = "datagrams"
[listeners.datagrams.udp]
idle-timeout = "{LONG}"
[upstreams.datagrams]
backends = [{{ name = "octets", address = "{self.backend.udp}" }}]
"""
        return f"""version = 1
[regions.eu]
latitude = 50
longitude = 8
[nodes.bench]
region = "eu"
roles = ["proxy"]
state-dir = "state"
[nodes.bench.proxy]
workers = 1
[listeners.streams]
bind = ["127.0.0.1:0"]
protocol = "tcp"
forward = "streams"
[listeners.streams.tcp]
idle-timeout = "{LONG}"
[upstreams.streams]
backends = [{{ name = "octets", address = "{self.backend.tcp}" }}]
{datagrams if self.datagrams else ""}"""

    def prepare(self):
        self.write("tradewind.toml", self.config())
        self.spawn(self.tools.tradewind, "run", "--config", "tradewind.toml", "--node", "bench")
        ready = read_ready(self, r"^ready .*").group(0)
        places = dict(pair.rsplit("=", 1) for pair in ready.partition("proxy=")[2].split()[0].split(","))
        port = {name: int(place.rpartition(":")[2]) for name, place in places.items()}
        self.port, self.udp_port = port["streams"], port.get("datagrams", 0)


class Haproxy4(Layer4, Haproxy):
    datagrams = False
    splice = "    option splice-auto\n"

    def prepare(self):
        self.port = free_port()
        self.write(
            "haproxy.cfg",
            f"""global
    nbthread 1
    maxconn {CONNECTIONS // 2}
defaults
    mode tcp
{self.splice}    timeout connect 5s
    timeout client {LONG}
    timeout server {LONG}
frontend streams
    bind 127.0.0.1:{self.port}
    default_backend octets
backend octets
    server octets {self.backend.tcp}
""",
        )
        self.spawn("haproxy", "-db", "-f", "haproxy.cfg")


class HaproxyCopy4(Haproxy4):
    """HAProxy without a word about splicing."""

    name = "haproxy-copy"
    splice = ""


class HaproxySplice4(Haproxy4):
    """HAProxy that splices whatever comes."""

    name = "haproxy-splice"
    splice = "    option splice-request\n    option splice-response\n"


class Nginx4(Layer4, Nginx):
    packages = ("nginx-light", "libnginx-mod-stream")
    files = (MODULE,)

    def prepare(self):
        self.port, self.udp_port = free_port(), free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        self.write(
            "nginx.conf",
            f"""load_module {MODULE};
{user}
daemon off;
pid {self.home}/pid;
error_log stderr crit;
worker_processes 1;
events {{ worker_connections {CONNECTIONS}; }}
stream {{
    access_log off;
    proxy_timeout {LONG};
    proxy_connect_timeout 5s;
    proxy_buffer_size 64k;
    proxy_half_close on;
    server {{
        listen 127.0.0.1:{self.port};
        proxy_pass {self.backend.tcp};
    }}
    server {{
        listen 127.0.0.1:{self.udp_port} udp;
        proxy_pass {self.backend.udp};
    }}
}}
""",
        )
        self.spawn("nginx", "-c", str(self.home / "nginx.conf"), "-e", "stderr")


class Direct:
    """A backend without a proxy, under the workload that tells what a proxy adds."""

    name = "direct"

    def __init__(self, backend):
        self.backend = backend

    def addresses(self):
        return {"tcp-one": self.backend.tcp}

    def pids(self):
        return self.backend.pids()


RIVALS = [Haproxy4, HaproxySplice4, HaproxyCopy4, Nginx4]

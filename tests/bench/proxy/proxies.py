"""The proxies: how each is configured with one worker, started, watched and stopped.

All do the same: HTTP/1.1 and, over TLS 1.3 with one certificate (ECDSA P-256), HTTP/2 in; HTTP/1.1 over
connections that are kept to one backend; X-Forwarded-For and X-Forwarded-Proto added; nothing logged.
Each runs from a folder of its own on free ports of 127.0.0.1, as a child of this process, on CPU 0.
"""

import http.client
import os
import re
import ssl
import subprocess
import time
from pathlib import Path

from servers import Server, StartError, free_port

# Longer than any run: nothing closes what waits.
LONG = "900s"
# Connections that a proxy must be able to have, both sides counted.
CONNECTIONS = 8000

PLAIN = ("plain", "64k", "routes")


def read_ready(server, pattern, seconds=60):
    """Waits for the line that tells the ports; returns its match."""
    deadline = time.monotonic() + seconds
    while not (ready := re.search(pattern, server.log(), re.M)):
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise StartError(f"{server.name}: {server.log()[-2000:]}")
        time.sleep(0.02)
    return ready


class Backend(Server):
    """The server behind all of them, on the generator's CPU."""

    name = "backend"

    def start(self):
        self.port = int(self.begin().rpartition(":")[2])

    def begin(self):
        """Starts the generator's part of this name; its first line."""
        self.process = subprocess.Popen(
            [self.tools.load, self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}),
        )
        return self.process.stdout.readline()

    def addresses(self):
        return {workload: self.address() for workload in PLAIN}


class Proxy(Server):
    """One proxy in front of the backend."""

    def __init__(self, home, tools, tag=""):
        kind = self.name
        self.name = kind + tag
        super().__init__(home, tools)
        self.name = kind
        self.tls_port = 0

    def addresses(self):
        plain, tls = (f"127.0.0.1:{port}" for port in (self.port, self.tls_port))
        return {
            "plain": plain,
            "64k": plain,
            "routes": plain,
            "tls": tls,
            "handshake": tls,
            "h2": tls,
        }

    def start(self):
        self.prepare()
        deadline = time.monotonic() + 30
        while (wrong := self.wrong()) is not None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"{self.name}: {wrong}\n{self.log()[-2000:]}")
            time.sleep(0.05)

    def ask(self, port, path, context=None):
        """Status and body of one request."""
        kind = http.client.HTTPConnection if context is None else http.client.HTTPSConnection
        more = {} if context is None else {"context": context}
        connection = kind("127.0.0.1", port, timeout=5, **more)
        try:
            connection.request("GET", path, headers={"Host": "www.bench.example"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def wrong(self):
        """What is not as asked for, in words; nothing when all is well."""
        context = ssl.create_default_context(cafile=str(self.tools.certificate))
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            for port, scheme in ((self.port, "http"), (self.tls_port, "https")):
                trust = context if scheme == "https" else None
                status, seen = self.ask(port, "/seen", trust)
                fields = seen.decode("latin-1").lower()
                for field in ("x-forwarded-for: 127.0.0.1\r\n", f"x-forwarded-proto: {scheme}\r\n"):
                    if field not in fields:
                        return f"{scheme}: status {status}, no `{field.strip()}` in\n{fields}"
                status, body = self.ask(port, "/64k", trust)
                if (status, len(body)) != (200, 65536):
                    return f"{scheme}: status {status} and {len(body)} octets instead of 200 and 65536"
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        return None

    def resident_kib(self):
        """Resident memory of all its processes."""
        total = 0
        for pid in self.pids():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Rss:\s+(\d+)", text, re.M).group(1))
        return total


class Tradewind(Proxy):
    name = "tradewind"

    def config(self):
        return common(self.tools) + route("all", "", self.tools.backend)

    def prepare(self):
        self.write("tradewind.toml", self.config())
        self.spawn(self.tools.tradewind, "run", "--config", "tradewind.toml", "--node", "bench")
        ready = read_ready(self, r"^ready .*\bweb=\S+?:(\d+),web-tls=\S+?:(\d+)\b")
        self.port, self.tls_port = map(int, ready.groups())

    def version(self):
        return self.run(self.tools.tradewind, "--version").split()[-1]


def common(tools):
    """Of a configuration for Tradewind, all but routes and upstreams."""
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
[listeners.web]
bind = ["127.0.0.1:0"]
idle-timeout = "{LONG}"
[listeners.web-tls]
bind = ["127.0.0.1:0"]
idle-timeout = "{LONG}"
[listeners.web-tls.tls]
certificates = [{{ certificate = "{tools.certificate}", key = "{tools.key}" }}]
min-version = "1.3"
"""


def upstream(name, backend):
    return f"""[upstreams.{name}]
keep-alive-timeout = "{LONG}"
backends = [{{ name = "{name}", address = "{backend}" }}]
"""


def route(name, conditions, backend):
    """One route and an upstream of its own."""
    return f'[routes.{name}]\nforward = "{name}"\n{conditions}' + upstream(name, backend)


class ManyRoutes(Tradewind):
    """Tradewind with 10,000 routes to 1,000 upstreams.

    What differs from one route shall be the routes, and not a thousand connections to backends; so one
    route of two leads to the first upstream, and the load asks these 5,000.
    """

    name = "routes-10000"
    hosts, paths, upstreams = 100, 100, 1000
    extra = ""

    def config(self):
        lines = [common(self.tools), self.extra]
        lines += [upstream(f"u{i}", self.tools.backend) for i in range(self.upstreams)]
        for i in range(self.hosts * self.paths):
            host, path = divmod(i, self.paths)
            target = 0 if i % 2 == 0 else 1 + i // 2 % (self.upstreams - 1)
            lines.append(
                f'[routes.r{i}]\nhosts = ["h{host}.bench.example"]\npath-prefixes = ["/p{path}/"]\nforward = "u{target}"\n'
            )
        lines.append('[routes.rest]\nforward = "u0"\n')
        return "".join(lines)


class OneRoute(Tradewind):
    """Tradewind with one route, which takes the same requests."""

    name = "one-route"


class Traced(Tradewind):
    """Tradewind that tells a collector of a share of the requests."""

    share = 1.0

    def config(self):
        return super().config() + (
            f'[telemetry.otlp]\nendpoint = "http://{self.tools.collector}"\n'
            f"proxy-traces = true\nproxy-sample = {self.share}\n"
        )


class TracedNone(Traced):
    name, share = "traces-0", 0.0


class TracedOne(Traced):
    name, share = "traces-1%", 0.01


class TracedAll(Traced):
    name, share = "traces-all", 1.0


class Haproxy(Proxy):
    name = "haproxy"
    packages = ("haproxy",)
    commands = ("haproxy",)

    def prepare(self):
        self.port, self.tls_port = free_port(), free_port()
        both = self.tools.certificate.read_text() + self.tools.key.read_text()
        self.write("both.pem", both)
        self.write(
            "haproxy.cfg",
            f"""global
    nbthread 1
    maxconn {CONNECTIONS // 2}
defaults
    mode http
    option forwardfor
    http-reuse always
    timeout connect 5s
    timeout client {LONG}
    timeout server {LONG}
    timeout http-keep-alive {LONG}
    timeout http-request 10s
frontend web
    bind 127.0.0.1:{self.port}
    http-request set-header X-Forwarded-Proto http
    default_backend app
frontend web-tls
    bind 127.0.0.1:{self.tls_port} ssl crt {self.home}/both.pem alpn h2,http/1.1 ssl-min-ver TLSv1.3
    http-request set-header X-Forwarded-Proto https
    default_backend app
backend app
    server app {self.tools.backend}
""",
        )
        self.spawn("haproxy", "-db", "-f", "haproxy.cfg")


class Nginx(Proxy):
    name = "nginx"
    packages = ("nginx-light",)
    commands = ("nginx",)

    def prepare(self):
        self.port, self.tls_port = free_port(), free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        folders = "".join(
            f"    {kind}_temp_path {self.home}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.write(
            "nginx.conf",
            f"""{user}
daemon off;
pid {self.home}/pid;
error_log stderr crit;
worker_processes 1;
events {{ worker_connections {CONNECTIONS}; }}
http {{
{folders}
    access_log off;
    keepalive_timeout {LONG};
    keepalive_requests 1000000000;
    client_header_timeout 10s;
    upstream app {{
        server {self.tools.backend};
        keepalive 128;
        keepalive_timeout {LONG};
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{self.port};
        listen 127.0.0.1:{self.tls_port} ssl http2;
        ssl_certificate {self.tools.certificate};
        ssl_certificate_key {self.tools.key};
        ssl_protocols TLSv1.3;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_buffer_size 16k;
            proxy_buffers 16 16k;
            proxy_busy_buffers_size 64k;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
""",
        )
        self.spawn("nginx", "-c", str(self.home / "nginx.conf"), "-e", "stderr")

    def version(self):
        done = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False)
        return done.stderr.rpartition("/")[2].strip()


RIVALS = [Haproxy, Nginx]

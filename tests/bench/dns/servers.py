"""The servers: how each is configured with one UDP worker, started, watched and stopped.

Each runs from a folder of its own on a free port of 127.0.0.1, as a child of this process, on CPU 0.
"""

import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import setting

# The servers' CPU; the generator has CPU 1.
CPU = 0

STATIC = ["static", "names", "nxdomain", "nodata"]
STEERED = ["geo-ecs", "weighted"]
SIGNED = ["signed"]


class StartError(Exception):
    """A server did not come up."""


def free_port():
    """A port that is free for UDP and TCP now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port


def on_cpu():
    os.sched_setaffinity(0, {CPU})


class Server:
    """One server process, with its children."""

    name = ""
    packages = ()
    commands = ()
    # Patterns of files that are there when the packages are.
    files = ()
    workloads = ()
    # Why workloads are missing, for the reader of the table.
    cannot = ""

    def __init__(self, home, tools):
        self.home = Path(home) / self.name
        self.home.mkdir()
        self.tools = tools
        self.process = None
        self.port = 0
        self.workloads = list(self.workloads)

    def write(self, name, text):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, *command, **more):
        """A tool of the server's that must succeed."""
        done = subprocess.run(command, cwd=self.home, capture_output=True, text=True, check=False, **more)
        if done.returncode != 0:
            raise StartError(f"{self.name}: {' '.join(map(str, command))}: {done.stdout}{done.stderr}")
        return done.stdout

    def spawn(self, *command):
        """Starts the server: in a session of its own, so that Ctrl-C reaches this script alone."""
        log = open(self.home / "log", "wb")
        self.process = subprocess.Popen(
            command,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=on_cpu,
        )
        log.close()

    def log(self):
        return (self.home / "log").read_text(errors="replace")

    def prepare(self):
        """Writes the configuration and starts the process."""
        raise NotImplementedError

    def start(self):
        self.prepare()
        deadline = time.monotonic() + 60
        for workload in self.workloads:
            while not self.answers(workload):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise StartError(f"{self.name} does not answer {workload}:\n{self.log()[-2000:]}")
                time.sleep(0.05)

    def answers(self, workload):
        """Whether the server does the workload's job already."""
        done = subprocess.run(
            [self.tools.load, "sample", self.address(), workload, "1", "1"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            return False
        code, answers, _, _ = done.stdout.split()
        return {
            "nxdomain": code == "3",
            "nodata": code == "0" and answers == "0",
            "signed": code == "0" and answers == "2",
        }.get(workload, code == "0" and answers == "1")

    def address(self):
        return f"127.0.0.1:{self.port}"

    def pids(self):
        """The process and all below it."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
        family = [self.process.pid]
        for pid in family:
            family.extend(child for child, parent in parents.items() if parent == pid)
        return family

    def memory_kib(self):
        """Proportional set size."""
        total = 0
        for pid in self.pids():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
        return total

    def version(self):
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", self.packages[0]],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout or "unknown"

    def stop(self):
        """Ends the process and its children, each by its id."""
        if self.process is None:
            return
        family = self.pids()
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in family[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process = None


class Floor(Server):
    """recvmmsg and sendmmsg, 64 datagrams a call: what anybody who uses sockets pays."""

    name = "floor"
    workloads = STATIC + STEERED + SIGNED

    def prepare(self):
        self.spawn(self.tools.load, "echo")

    def start(self):
        self.prepare()
        deadline = time.monotonic() + 10
        while not (ready := re.search(r"^ready \S+:(\d+)$", self.log(), re.M)):
            if time.monotonic() > deadline:
                raise StartError(f"floor: {self.log()}")
            time.sleep(0.01)
        self.port = int(ready.group(1))

    def version(self):
        return "echo"


class Tradewind(Server):
    name = "tradewind"
    workloads = STATIC + STEERED + SIGNED

    def prepare(self):
        self.write("bench.zone", setting.static_zone())
        self.write("signed.zone", setting.static_zone())
        self.write("gslb.zone", setting.zone(""))
        regions = "".join(
            f"[regions.{name}]\nlatitude = {lat}\nlongitude = {lon}\n"
            f"[pools.{name}]\nregion = \"{name}\"\n"
            f"endpoints = [{{ name = \"{name}\", address = \"{address}\" }}]\n"
            for name, address, lat, lon in setting.SITES
        )
        shares = "".join(
            f"[pools.w{weight}]\nregion = \"eu\"\n"
            f"endpoints = [{{ name = \"w{weight}\", address = \"{address}\" }}]\n"
            for address, weight in setting.WEIGHTS
        )
        sites = ", ".join(f'"{site[0]}"' for site in setting.SITES)
        pools = ", ".join(f'"w{weight}"' for _, weight in setting.WEIGHTS)
        weights = ", ".join(f"w{weight} = {weight}" for _, weight in setting.WEIGHTS)
        # Rates are counted for this client as for any other, and never reached.
        config = f"""version = 1
[dns.rate-limit]
responses-per-second = 100000000
queries-per-second = 100000000
exempt = []
[nodes.bench]
region = "eu"
roles = ["dns"]
state-dir = "state"
dns = {{ listen = ["127.0.0.1:0"], workers = 1 }}
[zones."bench.example"]
file = "bench.zone"
[zones."signed.example"]
file = "signed.zone"
dnssec = "default"
[zones."gslb.example"]
file = "gslb.zone"
[geoip]
databases = ["{self.tools.database}"]
{regions}{shares}[policies.nearest]
stages = [{{ proximity = {{}} }}, {{ weighted = {{}} }}]
[policies.shares]
stages = [{{ weighted = {{}} }}]
[names."geo.gslb.example"]
pools = [{sites}]
policy = "nearest"
ttl = {{ min = "{setting.TTL}s", max = "{setting.TTL}s" }}
[names."weighted.gslb.example"]
pools = [{pools}]
policy = "shares"
weights = {{ {weights} }}
ttl = {{ min = "{setting.TTL}s", max = "{setting.TTL}s" }}
"""
        self.write("tradewind.toml", config)
        self.spawn(self.tools.tradewind, "run", "--config", "tradewind.toml", "--node", "bench")
        deadline = time.monotonic() + 60
        while not (ready := re.search(r"^ready .*\bdns=\S+?:(\d+)\b", self.log(), re.M)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"tradewind: {self.log()}")
            time.sleep(0.02)
        self.port = int(ready.group(1))

    def version(self):
        return self.run(self.tools.tradewind, "--version").split()[-1]


class Gdnsd(Server):
    name = "gdnsd"
    packages = ("gdnsd",)
    commands = ("gdnsd",)
    workloads = STATIC + STEERED
    cannot = "signed: has no DNSSEC"

    def prepare(self):
        self.port = free_port()
        sites = ", ".join(site[0] for site in setting.SITES)
        coordinates = "\n".join(f"{name} => [ {lat}, {lon} ]," for name, _, lat, lon in setting.SITES)
        dcmap = "\n".join(f"{name} => {address}," for name, address, _, _ in setting.SITES)
        weights = "\n".join(f"w{weight} => [ {address}, {weight} ]," for address, weight in setting.WEIGHTS)
        # Knows the databases of one vendor by their names, so it gets a copy that says so.
        database = self.home / "geo.mmdb"
        database.write_bytes(
            self.tools.database.read_bytes().replace(
                b"\x52Tradewind-Networks", b"\x4bGeoIP2-City"
            )
        )
        self.write("zones/bench.example", setting.static_zone())
        self.write(
            "zones/gslb.example",
            setting.zone(f"geo {setting.TTL} DYNA geoip!geo\nweighted {setting.TTL} DYNA weighted!shares\n"),
        )
        self.write(
            "config",
            f"""options => {{
  listen => {{ 127.0.0.1:{self.port} => {{ udp_threads = 1, tcp_threads = 1 }} }}
  run_dir => {self.home}/run
  state_dir => {self.home}/state
}}
plugins => {{
  geoip => {{
    maps => {{ m => {{
      geoip2_db => {database}
      datacenters => [ {sites} ]
      auto_dc_coords => {{ {coordinates} }}
    }} }}
    resources => {{ geo => {{ map => m, service_types => up, dcmap => {{ {dcmap} }} }} }}
  }}
  weighted => {{ shares => {{ service_types => up, {weights} }} }}
}}
""",
        )
        (self.home / "run").mkdir()
        (self.home / "state").mkdir()
        self.spawn("gdnsd", "-c", self.home, "start")


class Knot(Server):
    name = "knot"
    packages = ("knot", "knot-module-geoip")
    commands = ("knotd",)
    files = ("/usr/lib/*/knot/*/geoip.so",)
    workloads = STATIC + STEERED + SIGNED

    def prepare(self):
        self.port = free_port()
        address = {name: address for name, address, _, _ in setting.SITES}
        self.write("zones/bench.example.zone", setting.static_zone())
        self.write("zones/signed.example.zone", setting.static_zone())
        self.write("zones/gslb.example.zone", setting.steered_zone())
        countries = "".join(
            f"  - geo: \"{country}\"\n    A: {address[site]}\n" for country, _, _, _, site in setting.COUNTRIES
        )
        shares = "".join(f"  - weight: {weight}\n    A: {a}\n" for a, weight in setting.WEIGHTS)
        self.write("geo.yml", f"geo.gslb.example:\n{countries}")
        self.write("weighted.yml", f"weighted.gslb.example:\n{shares}")
        self.write(
            "knot.conf",
            f"""server:
  rundir: "{self.home}"
  listen: 127.0.0.1@{self.port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  edns-client-subnet: on
log:
  - target: stderr
    any: warning
database:
  storage: "{self.home}/db"
mod-geoip:
  - id: geo
    config-file: "{self.home}/geo.yml"
    ttl: {setting.TTL}
    mode: geodb
    geodb-file: "{self.tools.database}"
    geodb-key: country/iso_code
  - id: weighted
    config-file: "{self.home}/weighted.yml"
    ttl: {setting.TTL}
    mode: weighted
template:
  - id: default
    storage: "{self.home}/zones"
    file: "%s.zone"
    zonefile-sync: -1
zone:
  - domain: bench.example
  - domain: signed.example
    dnssec-signing: on
  - domain: gslb.example
    module: [ mod-geoip/geo, mod-geoip/weighted ]
""",
        )
        (self.home / "db").mkdir()
        self.spawn("knotd", "-c", self.home / "knot.conf")


class Nsd(Server):
    name = "nsd"
    packages = ("nsd", "ldnsutils")
    commands = ("nsd", "ldns-keygen", "ldns-signzone")
    workloads = STATIC + SIGNED
    cannot = "geo-ecs, weighted: does not steer"

    def prepare(self):
        self.port = free_port()
        self.write("bench.zone", setting.origin("bench.example", setting.static_zone()))
        self.write("signed.zone", setting.origin("signed.example", setting.static_zone()))
        key = self.run("ldns-keygen", "-r", "/dev/urandom", "-a", "ECDSAP256SHA256", "-k", "signed.example")
        self.run("ldns-signzone", "-o", "signed.example", "signed.zone", key.strip())
        self.write(
            "nsd.conf",
            f"""server:
  ip-address: 127.0.0.1@{self.port}
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{self.home}"
  pidfile: "{self.home}/nsd.pid"
  xfrdfile: "{self.home}/xfrd.state"
  zonelistfile: "{self.home}/zone.list"
  xfrdir: "{self.home}"
  minimal-responses: yes
  # Debian's build limits the rate of answers unless told otherwise; it cannot be set high enough.
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: bench.example
  zonefile: bench.zone
zone:
  name: signed.example
  zonefile: signed.zone.signed
""",
        )
        self.spawn("nsd", "-d", "-c", self.home / "nsd.conf")


class Pdns(Server):
    name = "pdns"
    packages = ("pdns-server", "pdns-backend-geoip")
    commands = ("pdns_server", "pdnsutil")
    workloads = STATIC + STEERED + SIGNED

    def prepare(self):
        self.port = free_port()
        address = {name: address for name, address, _, _ in setting.SITES}

        def domain(zone, records, services=""):
            soa = f"ns1.{zone} hostmaster.{zone} 1 3600 600 604800 60"
            return (
                f"- domain: {zone}\n  ttl: {setting.TTL}\n  records:\n"
                f"    {zone}:\n      - soa: {soa}\n      - ns: ns1.{zone}\n"
                f"    ns1.{zone}:\n      - a: 192.0.2.53\n{records}{services}"
            )

        def static(zone):
            names = [("www", "192.0.2.80")] + [(f"n{i:03}", f"198.51.100.{i % 250 + 1}") for i in range(1000)]
            return domain(zone, "".join(f"    {n}.{zone}:\n      - a: {a}\n" for n, a in names))

        countries = "".join(
            f"    {country.lower()}.place.gslb.example:\n      - a: {address[site]}\n"
            for country, _, _, _, site in setting.COUNTRIES
        )
        shares = "    weighted.gslb.example:\n" + "".join(
            f"      - a: {{ content: {a}, weight: {weight} }}\n" for a, weight in setting.WEIGHTS
        )
        # %cc is the country of two letters.
        services = "  services:\n    geo.gslb.example: ['%cc.place.gslb.example']\n"
        self.write(
            "zones.yml",
            "domains:\n"
            + static("bench.example")
            + static("signed.example")
            + domain("gslb.example", countries + shares, services),
        )
        (self.home / "keys").mkdir()
        self.write(
            "pdns.conf",
            f"""launch=geoip
local-address=127.0.0.1
local-port={self.port}
receiver-threads=1
distributor-threads=1
socket-dir={self.home}
geoip-zones-file={self.home}/zones.yml
geoip-database-files=mmdb:{self.tools.database}
geoip-dnssec-keydir={self.home}/keys
edns-subnet-processing=yes
security-poll-suffix=
daemon=no
guardian=no
disable-syslog=yes
""",
        )
        self.run("pdnsutil", f"--config-dir={self.home}", "add-zone-key", "signed.example", "ksk", "active", "ecdsa256")
        self.run("pdnsutil", f"--config-dir={self.home}", "add-zone-key", "signed.example", "zsk", "active", "ecdsa256")
        self.spawn("pdns_server", f"--config-dir={self.home}")


RIVALS = [Gdnsd, Knot, Nsd, Pdns]


def install(rivals):
    """Installs what is missing, without starting the packages' own services."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [
        package
        for rival in rivals
        if not all(map(shutil.which, rival.commands)) or not all(map(glob.glob, rival.files))
        for package in rival.packages
    ]
    if not missing:
        return
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    print(f"installing {' '.join(missing)}", flush=True)
    # Debian starts a service as soon as its package is there, unless this file says no.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        subprocess.run([*as_root, "sh", "-c", f"printf '#!/bin/sh\\nexit 101\\n' >{policy}; chmod +x {policy}"], check=True)
    try:
        subprocess.run([*as_root, "apt-get", "update", "-qq"], check=True)
        subprocess.run(
            [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    finally:
        if ours:
            subprocess.run([*as_root, "rm", "-f", policy], check=True)

//! A node with all that has metrics: encrypted DNS, signed zones, a fleet, a proxy of every kind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::support::backend::Backend;
use crate::support::demo::tradewind;
use crate::support::node::{Node, folder};
use crate::support::{dns, http, tls, wait_for};

const MORE: &str = r#"
[fleet]
ca = "fleet/ca.pem"

[monitors.web]
interval = "1s"
timeout = "500ms"
tcp = {}

[pools.here]
region = "eu"
monitor = "web"
endpoints = [{ name = "eu-1", address = "127.0.0.1", port = BACKEND }]

[policies.any]
stages = [{ random = {} }]

[names."www.gslb.test"]
pools = ["here"]
policy = "any"

[telemetry.otlp]
endpoint = "http://127.0.0.1:9"
interval = "1h"

[telemetry.dnstap]
file = "queries.fstrm"

[listeners.web]
bind = ["127.0.0.1:0"]

[listeners.secure]
bind = ["127.0.0.1:0"]
tls = { certificates = [{ certificate = "c.pem", key = "k.pem" }] }

[listeners.stream]
bind = ["127.0.0.1:0"]
protocol = "tcp"
forward = "stream"

[listeners.datagram]
bind = ["127.0.0.1:0"]
protocol = "udp"
forward = "datagram"

[rate-limits.slow]
rate = "1/m"

[waf.basic]
[[waf.basic.rules]]
name = "bad"
in = ["path"]
patterns = ["bad"]

[caches.c]
size = "16MiB"
max-object = "1MiB"

[routes.limited]
path-prefixes = ["/limited"]
forward = "app"
rate-limits = ["slow"]

[routes.all]
path-prefixes = ["/"]
forward = "app"
cache = "c"
waf = "basic"

[upstreams.app]
circuit = {}
[[upstreams.app.backends]]
name = "b"
address = "127.0.0.1:BACKEND"

[upstreams.stream]
[[upstreams.stream.backends]]
name = "b"
address = "127.0.0.1:BACKEND"

[upstreams.datagram]
[[upstreams.datagram.backends]]
name = "b"
address = "127.0.0.1:ECHO"
"#;

/// The node, and what stands behind it.
pub struct World {
    node: Node,
    _backend: Backend,
    echo: UdpSocket,
}

impl World {
    pub fn start() -> World {
        let backend = Backend::start();
        let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
        echo.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let head = tls::head("")
            .replace(
                r#"roles = ["dns", "probe", "admin"]"#,
                r#"roles = ["dns", "probe", "proxy", "admin"]
state-dir = "state"
fleet = { listen = "127.0.0.1:0", certificate = "fleet/n1.pem", key = "fleet/n1.key" }"#,
            )
            .replace(
                "file = \"gslb.test.zone\"",
                "file = \"gslb.test.zone\"\ndnssec = \"default\"",
            );
        let more = MORE
            .replace("BACKEND", &backend.addr.port().to_string())
            .replace("ECHO", &echo.local_addr().unwrap().port().to_string());
        let dir = folder(&format!("{head}{more}"));
        tls::write_pair(dir.path());
        std::fs::create_dir(dir.path().join("state")).unwrap();
        for args in [
            &["fleet", "init", "--out", "fleet"][..],
            &[
                "fleet",
                "issue",
                "n1",
                "--roles",
                "dns,probe,proxy,admin",
                "--ca",
                "fleet",
                "--out",
                "fleet",
            ],
        ] {
            let out = tradewind()
                .args(args)
                .current_dir(dir.path())
                .output()
                .unwrap();
            assert!(
                out.status.success(),
                "{}",
                String::from_utf8_lossy(&out.stderr)
            );
        }
        World {
            node: Node::start_in(dir),
            _backend: backend,
            echo,
        }
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    fn listener(&self, name: &str) -> SocketAddr {
        let mut all = self.node.proxy.iter();
        all.find(|(n, _)| n == name).unwrap().1
    }

    /// Something of everything.
    pub fn be_busy(&self) {
        for name in ["www.gslb.test", "static.gslb.test", "none.gslb.test"] {
            let query = dns::query(name, RecordType::A, Some("192.0.2.0/24"));
            dns::udp(self.node.dns, &query);
            dns::tcp(self.node.dns, &query);
        }
        for path in ["/", "/", "/bad", "/limited", "/limited"] {
            http::get(self.listener("web"), path);
        }
        let mut stream = TcpStream::connect(self.listener("stream")).unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let _ = stream.read(&mut [0; 100]).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"hello", self.listener("datagram")).unwrap();
        let mut octets = [0; 100];
        let (n, from) = self.echo.recv_from(&mut octets).unwrap();
        self.echo.send_to(&octets[..n], from).unwrap();
        for path in ["/v1/health", "/v1/none", "/v1/regions"] {
            http::get(self.node.admin, path);
        }
        // What a worker or the prober counts is told a moment later.
        let ready = |page: &str| {
            page.contains("tradewind_endpoint_rtt_seconds{")
                && page.contains("tradewind_proxy_udp_sessions_open")
        };
        wait_for("all is counted", Duration::from_secs(20), || {
            ready(&http::get(self.node.admin, "/metrics").body).then_some(())
        });
    }
}

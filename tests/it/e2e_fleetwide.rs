//! Any node answers for the fleet: the audit record, who is sent where, and requests that came already. Three
//! nodes of one fleet on the loopback, one of which is killed.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::demo::tradewind;
use crate::support::member::Member;
use crate::support::node::ZONE;
use crate::support::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);

/// An answer comes within a second; so much more may a busy machine take.
const SOON: Duration = Duration::from_millis(1_500);

const NODES: [&str; 3] = ["n1", "n2", "n3"];

const DRAIN: &str = r#"{"scope":"region","name":"eu","kind":"drain","owner":"ann","reason":"new kernel","for":"1h",
    "break-glass":"a test"}"#;
const OTHER: &str = r#"{"scope":"region","name":"us","kind":"drain","owner":"ann","reason":"new kernel","for":"1h",
    "break-glass":"a test"}"#;

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e} in {}", self.body))
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// A node and where it listens.
struct Node {
    member: Member,
    dns: SocketAddr,
    admin: SocketAddr,
}

impl Node {
    fn start(dir: &Path, name: &'static str) -> Node {
        let member = Member::start(dir, name);
        Node {
            dns: member.addr("dns="),
            admin: member.addr("admin="),
            member,
        }
    }

    fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let addr = self.admin;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n");
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            let length = body.len();
            head += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
        }
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(format!("{head}\r\n{body}").as_bytes())
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    fn order(&self, key: &str, body: &str) -> Answer {
        self.ask("PUT", "/v1/overrides", &[("Idempotency-Key", key)], body)
    }

    fn audit(&self, query: &str) -> Value {
        let answer = self.get(&format!("/v1/audit?limit=500{query}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Waits until all answer and a line of the record says all this.
    fn wait_line(&self, words: &[(&str, &str)], text: &str) -> Value {
        let what = format!("{}: a line {words:?} with `{text}`", self.member.name);
        wait_for(&what, PATIENCE, || {
            let found = self.audit("");
            let fits = |line: &&Value| {
                words.iter().all(|(key, word)| line[key] == **word)
                    && line["text"].as_str().unwrap().contains(text)
            };
            let all = found["missing"] == json!([]);
            lines(&found).iter().filter(|_| all).find(fits).cloned()
        })
    }

    /// The record, when all have answered.
    fn whole_audit(&self, query: &str) -> Value {
        wait_for("all answer", PATIENCE, || {
            let found = self.audit(query);
            (found["missing"] == json!([])).then_some(found)
        })
    }

    /// What a command prints that goes well.
    fn cli(&self, args: &[&str]) -> String {
        let server = format!("http://{}", self.admin);
        let mut command = tradewind();
        let out = command.args(args).args(["--server", &server]);
        let out = out.output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {told}");
        String::from_utf8(out.stdout).unwrap()
    }
}

fn lines(audit: &Value) -> Vec<Value> {
    audit["audit"].as_array().unwrap().clone()
}

const NETWORKS: &str = "network,continent,country,subdivision,latitude,longitude,asn,place\n\
    192.0.2.0/24,EU,DE,HE,50.11,8.68,64496,Frankfurt\n\
    198.51.100.0/24,NA,US,VA,39.04,-77.48,64497,Ashburn\n";

const STEERING: &str = r#"
version = 1
[fleet]
name = "lab"
ca = "fleet/ca.pem"
[regions.eu]
latitude = 50.11
longitude = 8.68
[regions.us]
latitude = 39.04
longitude = -77.48
[zones."gslb.test"]
file = "gslb.test.zone"
[geoip]
networks = "networks.csv"
[pools.eu]
region = "eu"
endpoints = [{ name = "eu-1", address = "127.1.0.1" }]
[pools.us]
region = "us"
endpoints = [{ name = "us-1", address = "127.2.0.1" }]
[policies.near]
stages = [{ proximity = {} }, { weighted = {} }]
[names."www.gslb.test"]
pools = ["eu", "us"]
policy = "near"
"#;

/// The configuration, certificates and state directories of all nodes.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    // All at once, so that no two are the same.
    let sockets = NODES.map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut text = STEERING.to_owned();
    for (name, socket) in NODES.iter().zip(&sockets) {
        let listen = socket.local_addr().unwrap();
        text += &format!(
            "[nodes.{name}]\nregion = \"eu\"\nroles = [\"dns\", \"admin\"]\n\
             state-dir = \"state-{name}\"\ndns = {{ listen = [\"127.0.0.1:0\"], workers = 1 }}\n\
             admin = {{ listen = \"127.0.0.1:0\" }}\n\
             fleet = {{ listen = \"{listen}\", certificate = \"fleet/{name}.pem\", \
             key = \"fleet/{name}.key\" }}\n"
        );
    }
    drop(sockets);
    std::fs::write(d.join("tradewind.toml"), text).unwrap();
    std::fs::write(d.join("gslb.test.zone"), ZONE).unwrap();
    std::fs::write(d.join("networks.csv"), NETWORKS).unwrap();
    let good = |args: &[&str]| {
        let out = tradewind().current_dir(d).args(args).output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {text}");
    };
    good(&["fleet", "init", "--out", "fleet", "--name", "lab"]);
    for node in NODES {
        std::fs::create_dir(d.join(format!("state-{node}"))).unwrap();
        let issue = ["fleet", "issue", node, "--config", "tradewind.toml"];
        good(&[&issue[..], &["--ca", "fleet", "--out", "fleet"]].concat());
    }
    dir
}

fn fleet(dir: &Path) -> [Node; 3] {
    let members = NODES.map(|name| Node::start(dir, name));
    for member in &members {
        member.whole_audit("");
    }
    members
}

/// Asks until the dead one, and nobody else, is named and the answer came soon.
fn names_the_dead<T>(dead: &str, mut ask: impl FnMut() -> (Vec<String>, T)) -> T {
    let what = format!("an answer without {dead} comes soon");
    wait_for(&what, PATIENCE, || {
        let begun = Instant::now();
        let (missing, rest) = ask();
        (missing == [dead] && begun.elapsed() < SOON).then_some(rest)
    })
}

fn names(json: &Value) -> Vec<String> {
    let all = json.as_array().unwrap().iter();
    all.map(|n| n.as_str().unwrap().to_owned()).collect()
}

#[test]
fn s1_the_audit_record_of_the_fleet_is_shown_by_any_node_and_a_change_is_made_once_anywhere() {
    let dir = folder();
    let [n1, n2, n3] = fleet(dir.path());

    // What only one node saw is known to all.
    let token = format!("tradewind_{}", "00".repeat(32));
    let bearer = format!("Bearer {token}");
    let stranger = n2.ask("GET", "/v1/names", &[("Authorization", &bearer)], "");
    assert_eq!(stranger.status, 401);
    assert_eq!(n3.ask("POST", "/v1/reload", &[], "").status, 200);
    for asked in [&n1, &n2, &n3] {
        let refused = asked.wait_line(&[("event", "refused"), ("node", "n2")], "GET /v1/names");
        assert_eq!(refused["records"], json!(["n2"]));
        asked.wait_line(&[("event", "changed"), ("node", "n3")], "POST /v1/reload");
        assert!(!asked.audit("").to_string().contains(&"00".repeat(32)));
    }

    // An order is one line where it was given, and one for all that received it.
    let given = n1.order("k-1", DRAIN);
    assert_eq!(given.status, 200, "{}", given.body);
    let stamp = given.json()["stamp"].clone();
    wait_for("all have received it", PATIENCE, || {
        let line = n3.wait_line(
            &[("event", "received"), ("node", "n1")],
            "drain of region eu",
        );
        (line["records"] == json!(["n2", "n3"])).then_some(())
    });

    // The same again, at any node: made once, and told as it would be by the first.
    let first = n1.order("k-1", DRAIN);
    assert_eq!(first.status, 409, "{}", first.body);
    let again = n2.order("k-1", DRAIN);
    assert_eq!(again.status, 409, "{}", again.body);
    let problem = again.json();
    assert_eq!(problem["parameter"], "Idempotency-Key");
    let said = problem["detail"].as_str().unwrap();
    assert!(
        said.starts_with("a change with this `Idempotency-Key` came")
            && said.contains("at node `n1` and is not made again"),
        "{said}"
    );
    let other = n3.order("k-1", OTHER);
    assert_eq!(other.status, 409, "{}", other.body);
    let said = other.json()["detail"].as_str().unwrap().to_owned();
    assert!(said.starts_with("another change with this"), "{said}");
    for node in [&n1, &n2, &n3] {
        let overrides = node.get("/v1/overrides").json();
        let all = overrides["overrides"].as_array().unwrap();
        assert_eq!(all.len(), 1, "{overrides}");
        assert_eq!(all[0]["stamp"], stamp);
    }
    for node in ["n1", "n2", "n3"] {
        let words = [("event", "refused"), ("node", node)];
        n2.wait_line(&words, "change with this `Idempotency-Key` came");
    }
    let record = n2.whole_audit("");
    let count = |event: &str, text: &str| {
        let fits = |l: &&Value| l["event"] == *event && l["text"].as_str().unwrap().contains(text);
        lines(&record).iter().filter(fits).count()
    };
    assert_eq!(count("ordered", "drain of region"), 1, "{record}");
    assert_eq!(count("changed", "PUT /v1/overrides"), 1, "{record}");
    // With a key of its own it is another change.
    assert_eq!(n2.order("k-2", DRAIN).status, 200);

    // A drill likewise.
    let drill = r#"{"effect":"drain","scope":"region","name":"us","for":"1m","label":true,
        "owner":"ann","reason":"a try","break-glass":"a test"}"#;
    let key = [("Idempotency-Key", "d-1")];
    let begun = n2.ask("POST", "/v1/drills", &key, drill);
    assert_eq!(begun.status, 201, "{}", begun.body);
    wait_for("all have received it", PATIENCE, || {
        let line = n3.wait_line(&[("event", "received"), ("node", "n2")], "drill-drain of");
        (line["records"] == json!(["n1", "n3"])).then_some(())
    });
    for node in [&n1, &n3, &n2] {
        let again = node.ask("POST", "/v1/drills", &key, drill);
        assert_eq!(again.status, 409, "{}", again.body);
        assert!(again.body.contains("Idempotency-Key"), "{}", again.body);
    }

    // Of one node only, by its name, in the API and on the command line.
    let of_n2 = n1.whole_audit("&node=n2");
    assert!(lines(&of_n2).len() >= 3, "{of_n2}");
    assert!(lines(&of_n2).iter().all(|l| l["node"] == "n2"), "{of_n2}");
    let unknown = n1.get("/v1/audit?node=n22");
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    assert_eq!(unknown.json()["parameter"], "node");
    let told = wait_for("all answer", PATIENCE, || {
        let told = n3.cli(&["audit", "--node", "n2"]);
        (!told.contains("warning")).then_some(told)
    });
    assert!(
        told.contains("refused     unknown (n2): GET /v1/names"),
        "{told}"
    );
    assert!(!told.contains("(n1)"), "{told}");

    // Who is dead is named, soon; the rest is there, also what the dead one said to others.
    n1.member.kill9();
    let found = names_the_dead("n1", || {
        let found = n3.audit("");
        let missing = names(&found["missing"]);
        assert!(missing.contains(&"n1".to_owned()), "{found}");
        (missing, found)
    });
    let of_n1 = |l: &Value| l["node"] == "n1" && l["event"] == "received";
    assert!(lines(&found).iter().any(of_n1), "{found}");
    assert!(lines(&found).iter().any(|l| l["node"] == "n2"), "{found}");
    wait_for("the others answer", PATIENCE, || {
        let told = n3.cli(&["audit"]);
        let warning = "warning: no answer from n1 within a second; what only they";
        told.contains(warning).then_some(())
    });

    // Keys outlive the process that took them: they lie with their orders.
    let n1 = Node::start(dir.path(), "n1");
    let again = n1.order("k-1", DRAIN);
    assert_eq!(again.status, 409, "{}", again.body);
    n2.wait_line(
        &[("event", "ordered"), ("node", "n1")],
        "drain of region eu",
    );
    assert!(!lines(&n2.whole_audit("&node=n1")).is_empty());
}

/// What dig gets for a client network; sent again where the machine was too busy.
fn dig(node: &Node, subnet: &str) -> String {
    let server = format!("@{}", node.dns.ip());
    let port = node.dns.port().to_string();
    let subnet = format!("+subnet={subnet}");
    let out = Command::new("dig")
        .args([&*server, "-p", &port, "www.gslb.test", "A", &subnet])
        .args(["+short", "+tries=3", "+time=5"])
        .output()
        .expect("dig (Debian package bind9-dnsutils)");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// Queries by network, and who did not answer.
fn flows(node: &Node, query: &str) -> (Vec<String>, BTreeMap<String, f64>) {
    let answer = node.get(&format!("/v1/flows?window=24h{query}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let missing = answer.field("Tradewind-Missing").unwrap_or_default();
    let missing = missing.split(", ").filter(|n| !n.is_empty());
    let mut sums = BTreeMap::new();
    for flow in answer.json().as_array().unwrap() {
        let network = flow["network"].as_str().unwrap().to_owned();
        *sums.entry(network).or_default() += flow["queries"].as_f64().unwrap();
    }
    (missing.map(str::to_owned).collect(), sums)
}

#[test]
fn o11_who_is_sent_where_is_known_of_all_nodes_and_plans_weigh_the_queries_of_all() {
    let dir = folder();
    let [n1, n2, n3] = fleet(dir.path());
    for _ in 0..6 {
        assert_eq!(dig(&n1, "192.0.2.0/24"), "127.1.0.1");
    }
    for _ in 0..3 {
        assert_eq!(dig(&n2, "192.0.2.0/24"), "127.1.0.1");
        assert_eq!(dig(&n2, "198.51.100.0/24"), "127.2.0.1");
    }
    let sums = |all: &[(&str, f64)]| -> BTreeMap<String, f64> {
        all.iter().map(|(n, q)| ((*n).to_owned(), *q)).collect()
    };
    let (de, us) = ("192.0.2.0/24", "198.51.100.0/24");
    let everything = sums(&[(de, 9.0), (us, 3.0)]);
    for asked in [&n3, &n1, &n2] {
        wait_for("all queries are seen", PATIENCE, || {
            let (missing, sums) = flows(asked, "");
            (missing.is_empty() && sums == everything).then_some(())
        });
    }
    // Asking does not make them more, and each node's own can be told apart.
    for (node, own) in [
        ("n1", sums(&[(de, 6.0)])),
        ("n2", sums(&[(de, 3.0), (us, 3.0)])),
        ("n3", sums(&[])),
    ] {
        wait_for("those of one node", PATIENCE, || {
            let (missing, sums) = flows(&n3, &format!("&node={node}"));
            missing.is_empty().then(|| assert_eq!(sums, own))
        });
    }
    let unknown = n3.get("/v1/flows?node=n4");
    assert_eq!(
        (unknown.status, &unknown.json()["parameter"]),
        (404, &json!("node"))
    );

    // A node that answered nobody weighs the queries of all.
    let new = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(dir.path().join("tradewind.toml")).unwrap();
    let moved = text.replace("pools = [\"eu\", \"us\"]", "pools = [\"us\"]");
    assert_ne!(moved, text);
    std::fs::write(new.path().join("tradewind.toml"), moved).unwrap();
    std::fs::write(new.path().join("gslb.test.zone"), ZONE).unwrap();
    std::fs::write(new.path().join("networks.csv"), NETWORKS).unwrap();
    let config = new.path().join("tradewind.toml").display().to_string();
    let plan = || {
        let told = n3.cli(&["plan", &config, "--json"]);
        serde_json::from_str::<Value>(&told).unwrap_or_else(|e| panic!("{e} in {told}"))
    };
    wait_for("all are weighed", PATIENCE, || {
        let plan = plan();
        let warned = plan["warnings"]
            .to_string()
            .contains("no answer from there");
        // So it says how sure it is by the samples of all of them.
        let sampled = plan["certainty"]["samples"] == json!(12);
        (!warned && sampled).then(|| {
            assert_eq!(
                (&plan["basis"], &plan["queries"]),
                (&json!("traffic"), &json!(12.0))
            );
            assert_eq!(plan["shift"], json!(0.75), "{plan}");
        })
    });

    // Without one of them it says so, and says what the others know.
    n2.member.kill9();
    let rest = names_the_dead("n2", || flows(&n3, ""));
    assert_eq!(rest, sums(&[(de, 6.0)]));
    wait_for("the plan says so", PATIENCE, || {
        let plan = plan();
        let warned = plan["warnings"].to_string();
        let says = warned.contains("the queries of n2 are not weighed");
        (says && plan["queries"] == json!(6.0)).then_some(())
    });
}

//! The admin API elsewhere than on loopback: TLS, client certificates, new certificates while it runs, and
//! a process that takes over (requirement S1).

use std::path::Path;
use std::time::Duration;

use crate::e2e_admin::guarded;
use crate::support::certs::{Ca, curl, put, s_client, text};
use crate::support::demo::tradewind;
use crate::support::node::{HEAD, Node, folder};
use crate::support::takeover::Process;
use crate::support::wait_for;

const PEOPLE: &str = r#"
client-ca = "clients.pem"

[admin.certificates.ann]
subject = "CN=ann"
role = "operator"

[admin.certificates.robot]
san = "robot.example"
role = "viewer"
"#;

struct World {
    servers: Ca,
    clients: Ca,
}

/// A folder with a configuration that listens everywhere, with its certificates.
fn world() -> (World, tempfile::TempDir) {
    let listen =
        "admin = { listen = \"0.0.0.0:0\", certificate = \"admin.pem\", key = \"admin.key\" }";
    let head = HEAD.replace("admin = { listen = \"127.0.0.1:0\" }", listen);
    let dir = folder(&format!("{head}{}", guarded(PEOPLE)));
    let world = World {
        servers: Ca::new("servers"),
        clients: Ca::new("clients"),
    };
    let own = world.servers.issue("node", &["127.0.0.1", "localhost"], 1);
    own.write(dir.path(), "admin");
    put(dir.path(), "servers.pem", world.servers.pem().as_bytes());
    put(dir.path(), "clients.pem", world.clients.pem().as_bytes());
    world
        .clients
        .issue("ann", &["x.example"], 2)
        .write(dir.path(), "ann");
    world
        .clients
        .issue("bot", &["robot.example"], 3)
        .write(dir.path(), "robot");
    world
        .clients
        .issue("eve", &["eve.example"], 4)
        .write(dir.path(), "eve");
    Ca::new("others")
        .issue("ann", &["x.example"], 5)
        .write(dir.path(), "forged");
    (world, dir)
}

/// Asks with a client certificate, or none: the status.
fn status(dir: &Path, port: u16, method: &str, path: &str, who: Option<&str>) -> String {
    let ca = text(&dir.join("servers.pem"));
    let url = format!("https://127.0.0.1:{port}{path}");
    let mut args = vec![
        "--cacert",
        &ca,
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-X",
        method,
        &url,
    ];
    let pair = who.map(|who| {
        (
            text(&dir.join(format!("{who}.pem"))),
            text(&dir.join(format!("{who}.key"))),
        )
    });
    if let Some((cert, key)) = &pair {
        args.extend(["--cert", cert, "--key", key]);
    }
    curl(&args).1
}

/// The serial number of the certificate that a new connection gets to see.
fn shown_serial(port: u16) -> String {
    let both = format!(
        "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -serial"
    );
    let done = std::process::Command::new("sh")
        .args(["-c", &both])
        .output();
    String::from_utf8_lossy(&done.unwrap().stdout).into_owned()
}

#[test]
fn s1_elsewhere_the_api_speaks_tls_and_knows_people_by_their_certificates() {
    let (world, dir) = world();
    let node = Node::start_in(dir);
    let (dir, port) = (node.dir.path(), node.admin.port());
    let get = |path: &str, who: Option<&str>| status(dir, port, "GET", path, who);
    assert_eq!(get("/livez", None), "200");
    assert_eq!(get("/v1/regions", None), "401");
    assert_eq!(get("/v1/regions", Some("ann")), "200");
    assert_eq!(get("/v1/regions", Some("robot")), "200");
    assert_eq!(
        get("/v1/regions", Some("eve")),
        "401",
        "no role was given to it"
    );
    let forged = get("/v1/regions", Some("forged"));
    assert!(forged.starts_with("000"), "another authority's: {forged}");
    let reload = |who| status(dir, port, "POST", "/v1/reload", Some(who));
    assert_eq!(
        (reload("ann"), reload("robot")),
        ("403".to_owned(), "403".to_owned())
    );
    // Without TLS there is nothing.
    let (_, plain) = curl(&[
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        &format!("http://127.0.0.1:{port}/livez"),
    ]);
    assert!(plain.starts_with("000"), "{plain}");
    let addr = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let ca = text(&dir.join("servers.pem"));
    let shaken = s_client(
        addr,
        &["-CAfile", &ca, "-tls1_3"],
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(
        shaken.contains("TLSv1.3") && !shaken.contains("Max Early Data: 4"),
        "{shaken}"
    );
    assert!(
        !shaken.contains("Post-Handshake New Session Ticket"),
        "nothing is resumed: {shaken}"
    );

    // The command line, with a certificate and with a token.
    let server = format!("https://127.0.0.1:{port}");
    let run = |more: &[&str]| {
        let done = tradewind()
            .args(["audit", "--server", &server])
            .args(more)
            .output()
            .unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8(said).unwrap())
    };
    let (cert, key) = (text(&dir.join("ann.pem")), text(&dir.join("ann.key")));
    let (done, said) = run(&["--ca", &ca, "--cert", &cert, "--key", &key]);
    assert!(
        done && said.contains("the client certificate has no role"),
        "{said}"
    );
    let (done, said) = run(&["--cert", &cert, "--key", &key]);
    assert!(
        !done && said.contains("certificate"),
        "an unknown authority: {said}"
    );
    let (done, said) = run(&["--ca", &ca]);
    assert!(!done && said.contains("this needs a token"), "{said}");

    // New files are taken up while it runs.
    world
        .servers
        .issue("node", &["127.0.0.1"], 77)
        .write(dir, "admin");
    wait_for(
        "the new certificate is shown",
        Duration::from_secs(30),
        || {
            // 4D is 77.
            shown_serial(port).contains("serial=4D").then_some(())
        },
    );
    let next = Ca::new("new clients");
    next.issue("ann", &["x.example"], 9).write(dir, "late");
    put(dir, "clients.pem", next.pem().as_bytes());
    wait_for(
        "the new authority is trusted",
        Duration::from_secs(30),
        || (get("/v1/regions", Some("late")) == "200").then_some(()),
    );
    assert!(
        get("/v1/regions", Some("ann")).starts_with("000"),
        "the old one is not"
    );
}

#[test]
fn s1_a_process_that_takes_over_goes_on_with_tls() {
    let (_world, dir) = world();
    let mut old = Process::start(dir.path(), &[]);
    let was = old.ready();
    let port = was.admin.port();
    assert_eq!(
        status(dir.path(), port, "GET", "/v1/regions", Some("ann")),
        "200"
    );
    let new = Process::start(dir.path(), &["--takeover"]);
    let is = new.ready();
    assert_eq!(is.admin.port(), port, "the same listener");
    assert!(old.ended().success());
    for (who, expected) in [(Some("ann"), "200"), (None, "401")] {
        assert_eq!(
            status(dir.path(), port, "GET", "/v1/regions", who),
            expected
        );
    }
}

//! Backends that see the client's own address, on hosts of their own: the backend's way back to clients
//! leads through the proxy.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use socket2::{Domain, Socket, Type};

use crate::fleet::lab::Lab;
use crate::support::node::{Node, folder};
use crate::support::proxy::head;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 67, 0, 9);

/// Client, proxy and backend, with the routes that the documentation names.
fn lab() -> Option<Lab> {
    let lab = Lab::new(&["client", "proxy", "backend"])?;
    let (client, proxy, backend) = (
        lab.host("client").v4(),
        lab.host("proxy").v4(),
        lab.host("backend").v4(),
    );
    // The client is in a network that the backend has no way to but through the proxy.
    lab.host("client")
        .ip(&format!("addr add {CLIENT}/32 dev lo\n"));
    lab.host("backend")
        .ip(&format!("route add 10.67.0.0/24 via {proxy}\n"));
    // What the backend sends to clients is for this machine.
    lab.host("proxy").ip(&format!(
        "route add 10.67.0.0/24 via {client}\n\
         route add local 0.0.0.0/0 dev lo table 100\n\
         rule add from {backend} lookup 100\n"
    ));
    Some(lab)
}

/// Says to each who it is for whom, and then gives back what it gets.
fn backend(lab: &Lab) -> SocketAddr {
    let host = lab.host("backend");
    let at = SocketAddr::new(host.v4(), 7_000);
    let listener = host.inside(|| TcpListener::bind(at).unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let who = stream.peer_addr().unwrap().ip().to_string();
                let _ = stream.write_all(format!("{who:<40}").as_bytes());
                let mut space = vec![0; 64 << 10];
                while let Ok(n @ 1..) = stream.read(&mut space) {
                    if stream.write_all(&space[..n]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    at
}

fn config(lab: &Lab, backend: SocketAddr) -> String {
    let at = lab.host("proxy").v4();
    format!(
        "{}[listeners.l4]\nbind = [\"{at}:7000\"]\nprotocol = \"tcp\"\nforward = \"app\"\n\
         [upstreams.app]\ntransparent = true\nconnect-timeout = \"2s\"\n\
         backends = [{{ name = \"b\", address = \"{backend}\" }}]\n",
        head()
    )
}

fn connect(lab: &Lab) -> TcpStream {
    let to = SocketAddr::new(lab.host("proxy").v4(), 7_000);
    lab.host("client").inside(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((CLIENT, 0)).into()).unwrap();
        socket.connect(&to.into()).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket.into()
    })
}

#[test]
fn a_transparent_upstream_shows_backends_the_clients_own_address() {
    let Some(lab) = lab() else {
        return;
    };
    let backend = backend(&lab);
    let text = config(&lab, backend);
    let _node = lab.host("proxy").inside(|| Node::start_in(folder(&text)));
    // One after the other and at once: ports of one client do not get in each other's way.
    let mut open: Vec<TcpStream> = (0..20).map(|_| connect(&lab)).collect();
    for stream in &mut open {
        let mut who = [0; 40];
        stream.read_exact(&mut who).unwrap();
        let who = String::from_utf8_lossy(&who).trim().to_owned();
        assert_eq!(who.parse(), Ok(IpAddr::V4(CLIENT)));
    }
    let sent = vec![b'x'; 1 << 20];
    let mut stream = open.pop().unwrap();
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
    let mut got = vec![0; sent.len()];
    stream.read_exact(&mut got).unwrap();
    writing.join().unwrap();
    assert!(got == sent);
}

#[test]
fn without_the_capability_a_transparent_upstream_says_what_is_missing() {
    let Some(lab) = lab() else {
        return;
    };
    let backend = backend(&lab);
    let text = config(&lab, backend);
    let node = lab.host("proxy").inside(|| {
        // Of this thread and what it starts.
        for capability in [CapabilitySet::NET_ADMIN, CapabilitySet::NET_RAW] {
            remove_capability_from_bounding_set(capability).unwrap();
        }
        Node::start_in(folder(&text))
    });
    node.wait_logged("`transparent` needs the capability CAP_NET_ADMIN");
    let mut stream = connect(&lab);
    let mut octet = [0];
    assert_eq!(stream.read(&mut octet).unwrap_or_default(), 0);
}

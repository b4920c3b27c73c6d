//! The program itself, run by the kernel on frames that the tests make (`BPF_PROG_TEST_RUN`). Needs root;
//! says so and checks nothing without.

#![expect(
    clippy::print_stderr,
    reason = "who runs the tests is told what was not checked"
)]

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use super::kernel::Kernel;
use super::layout::{BY_SOURCE, Mac, NOBODY, SLOTS, TCP, UDP, flag, vip_key};
use super::places::Place;
use super::unable;
use crate::traffic::algorithm::hash_address;
use crate::traffic::{Transport, Tuple};

const PASS: u32 = 2;
const DROP: u32 = 1;
const TX: u32 = 3;

/// The loopback interface: what frames of test runs come in on.
const LO: u32 = 1;
const OWN: Mac = [2, 0, 0, 0, 0, 1];
const ROUTER: Mac = [2, 0, 0, 0, 0, 9];
const A: Mac = [2, 0, 0, 0, 0, 0xa];
const B: Mac = [2, 0, 0, 0, 0, 0xb];
const PLACE_A: Place = Place {
    number: 5,
    epoch: 1,
};
const PLACE_B: Place = Place {
    number: 6,
    epoch: 1,
};
const ALL: u8 = flag::TAKES | flag::KEEPS_TCP | flag::KEEPS_UDP;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A loaded program that forwards ports 80 of two addresses, TCP and UDP, to the backends of `slots`.
fn kernel(slots: &[u16]) -> Option<Kernel> {
    if let Err(why) = unable::check("web", "lo") {
        eprintln!("skipped: {why}");
        return None;
    }
    let mut kernel = Kernel::load(1024, 1024).unwrap();
    kernel.set_link(LO, Some(OWN)).unwrap();
    kernel.set_backend(PLACE_A, A, ALL).unwrap();
    kernel.set_backend(PLACE_B, B, ALL).unwrap();
    kernel.set_table(3, 1, slots).unwrap();
    for vip in ["192.0.2.1:80", "[2001:db8::1]:80"] {
        let vip: SocketAddr = vip.parse().unwrap();
        kernel.set_vip(&vip_key(vip, TCP), 3, 7, 0).unwrap();
        let udp = vip_key(vip, UDP);
        kernel.set_vip(&udp, 3, 8, BY_SOURCE).unwrap();
    }
    Some(kernel)
}

fn all(place: Place) -> Vec<u16> {
    vec![place.number; SLOTS]
}

fn sum(header: &[u8]) -> u16 {
    let words = header
        .chunks(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

fn ip(from: IpAddr, to: IpAddr, protocol: u8, body: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut h = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0];
            h[2..4].copy_from_slice(&(20 + body.len() as u16).to_be_bytes());
            h.extend(from.octets());
            h.extend(to.octets());
            let check = sum(&h);
            h[10..12].copy_from_slice(&check.to_be_bytes());
            [&h[..], body].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut h = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
            h[4..6].copy_from_slice(&(body.len() as u16).to_be_bytes());
            h.extend(from.octets());
            h.extend(to.octets());
            [&h[..], body].concat()
        }
        _ => panic!("two families"),
    }
}

fn tcp(from: u16, to: u16, flags: u8) -> Vec<u8> {
    let mut h = vec![0; 20];
    h[..2].copy_from_slice(&from.to_be_bytes());
    h[2..4].copy_from_slice(&to.to_be_bytes());
    (h[12], h[13]) = (0x50, flags);
    h
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    let mut h = vec![0, 0, 0, 0, 0, 8, 0, 0];
    h[..2].copy_from_slice(&from.to_be_bytes());
    h[2..4].copy_from_slice(&to.to_be_bytes());
    h
}

fn frame(packet: &[u8]) -> Vec<u8> {
    let kind: u16 = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    [&OWN[..], &ROUTER, &kind.to_be_bytes(), packet].concat()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A frame of TCP.
fn segment(from: &str, to: &str, flags: u8) -> Vec<u8> {
    let (from, to) = (address(from), address(to));
    let body = tcp(from.port(), to.port(), flags);
    frame(&ip(from.ip(), to.ip(), TCP, &body))
}

fn datagram(from: &str, to: &str) -> Vec<u8> {
    let (from, to) = (address(from), address(to));
    frame(&ip(from.ip(), to.ip(), UDP, &udp(from.port(), to.port())))
}

/// Where the program sends a frame; `None`: it does not forward it.
fn sent(kernel: &mut Kernel, frame: &[u8]) -> Option<Mac> {
    let (what, out) = kernel.run(frame, LO);
    match what {
        TX => {
            assert_eq!(out[6..12], OWN, "the sender is this machine");
            Some(out[..6].try_into().unwrap())
        }
        PASS => {
            assert_eq!(out, frame, "what is left to the stack is left as it is");
            None
        }
        DROP => None,
        other => panic!("{other}"),
    }
}

#[test]
fn a_frame_for_a_virtual_address_goes_to_its_backend_and_only_macs_and_hops_change() {
    let Some(mut kernel) = kernel(&all(PLACE_A)) else {
        return;
    };
    for (from, to) in [
        ("198.51.100.7:1000", "192.0.2.1:80"),
        ("[2001:db8::7]:1000", "[2001:db8::1]:80"),
    ] {
        let frame = segment(from, to, SYN);
        let (what, out) = kernel.run(&frame, LO);
        assert_eq!((what, &out[..6]), (TX, &A[..]));
        assert_eq!(out[12..14], frame[12..14]);
        let changed: Vec<usize> = (14..frame.len()).filter(|i| out[*i] != frame[*i]).collect();
        if address(from).is_ipv4() {
            assert_eq!((out[22], changed), (63, vec![22, 24]));
            assert_eq!(sum(&out[14..34]), 0, "the sum of the header is right");
        } else {
            assert_eq!((out[21], changed), (63, vec![21]));
        }
        assert_eq!(sent(&mut kernel, &datagram(from, to)), Some(A));
    }
    let count = kernel.vip_count(7).unwrap();
    assert_eq!((count.packets, count.octets), (2, (54 + 74)));
    assert_eq!(kernel.backend_count(PLACE_A).unwrap().packets, 4);
}

#[test]
fn what_is_not_for_a_virtual_address_is_left_to_the_stack() {
    let Some(mut kernel) = kernel(&all(PLACE_A)) else {
        return;
    };
    let ours = segment("198.51.100.7:1000", "192.0.2.1:80", SYN);
    assert_eq!(sent(&mut kernel, &ours), Some(A));
    let others = [
        segment("198.51.100.7:1000", "192.0.2.1:81", SYN),
        segment("198.51.100.7:1000", "192.0.2.2:80", SYN),
        // Protocols without ports.
        frame(&ip(
            [10, 0, 0, 1].into(),
            [192, 0, 2, 1].into(),
            50,
            &[0; 64],
        )),
        frame(&ip(
            [10, 0, 0, 1].into(),
            [192, 0, 2, 1].into(),
            1,
            &[8; 64],
        )),
        [&OWN[..], &ROUTER, &[8, 6], &[0; 46]].concat(),
    ];
    for frame in others {
        assert_eq!(kernel.run(&frame, LO), (PASS, frame.clone()));
    }
    // Frames that only pass by, and interfaces that are not ours.
    let mut elsewhere = ours.clone();
    elsewhere[..6].copy_from_slice(&B);
    assert_eq!(kernel.run(&elsewhere, LO).0, PASS);
    kernel.set_link(LO, None).unwrap();
    assert_eq!(kernel.run(&ours, LO).0, PASS);
}

#[test]
fn frames_that_are_cut_off_anywhere_harm_nothing() {
    let Some(mut kernel) = kernel(&all(PLACE_A)) else {
        return;
    };
    let quoted = ip(
        [192, 0, 2, 1].into(),
        [198, 51, 100, 7].into(),
        TCP,
        &tcp(80, 1000, ACK),
    );
    let error = [&[3, 4, 0, 0, 0, 0, 5, 0][..], &quoted].concat();
    for whole in [
        segment("198.51.100.7:1000", "192.0.2.1:80", SYN),
        segment("[2001:db8::7]:1000", "[2001:db8::1]:80", SYN),
        datagram("198.51.100.7:1000", "192.0.2.1:80"),
        frame(&ip([10, 0, 0, 1].into(), [192, 0, 2, 1].into(), 1, &error)),
    ] {
        // The kernel takes no shorter frames.
        for length in 14..whole.len() {
            let (what, out) = kernel.run(&whole[..length], LO);
            assert!(what == PASS || what == TX, "{length}: {what}");
            assert_eq!(out.len(), length);
        }
        // Heads that lie about their lengths and versions.
        for at in 12..whole.len() {
            let mut lying = whole.clone();
            lying[at] = !lying[at];
            assert!(kernel.run(&lying, LO).0 <= TX);
        }
    }
}

#[test]
fn tagged_frames_keep_their_tags_and_options_are_stepped_over() {
    let Some(mut kernel) = kernel(&all(PLACE_A)) else {
        return;
    };
    let plain = segment("198.51.100.7:1000", "192.0.2.1:80", SYN);
    let tag = [0x81, 0, 0, 10];
    let tagged = [&plain[..12], &tag, &plain[12..]].concat();
    assert_eq!(sent(&mut kernel, &tagged), Some(A));
    assert_eq!(kernel.run(&tagged, LO).1[12..16], tag);
    let twice = [&plain[..12], &[0x88, 0xa8, 0, 1], &tag, &plain[12..]].concat();
    assert_eq!(sent(&mut kernel, &twice), Some(A));
    let thrice = [&plain[..12], &tag, &tag, &tag, &plain[12..]].concat();
    assert_eq!(sent(&mut kernel, &thrice), None);
    let mut options = plain.clone();
    options[14] = 0x46;
    options.splice(34..34, [1, 1, 1, 0]);
    assert_eq!(sent(&mut kernel, &options), Some(A));
}

#[test]
fn fragments_for_a_virtual_address_are_dropped_and_others_left() {
    let Some(mut kernel) = kernel(&all(PLACE_A)) else {
        return;
    };
    let mut first = datagram("198.51.100.7:1000", "192.0.2.1:80");
    first[20] = 0x20;
    assert_eq!(kernel.run(&first, LO).0, DROP);
    let mut later = first.clone();
    later[21] = 9;
    assert_eq!(kernel.run(&later, LO).0, PASS);
    let mut elsewhere = datagram("198.51.100.7:1000", "192.0.2.1:81");
    elsewhere[20] = 0x20;
    assert_eq!(kernel.run(&elsewhere, LO).0, PASS);
    let body = [&[UDP, 0, 0, 1, 0, 0, 0, 1], &udp(1000, 80)[..]].concat();
    let (from, to) = (address("[2001:db8::7]:1"), address("[2001:db8::1]:80"));
    let v6 = frame(&ip(from.ip(), to.ip(), 44, &body));
    assert_eq!(kernel.run(&v6, LO).0, DROP);
    assert_eq!(kernel.events().unwrap()[4], 2);
}

#[test]
fn a_packet_that_goes_in_circles_ends() {
    let Some(mut kernel) = kernel(&all(PLACE_A)) else {
        return;
    };
    let mut last = segment("198.51.100.7:1000", "192.0.2.1:80", SYN);
    last[22] = 1;
    assert_eq!(kernel.run(&last, LO).0, DROP);
    let mut last = segment("[2001:db8::7]:1000", "[2001:db8::1]:80", SYN);
    last[21] = 0;
    assert_eq!(kernel.run(&last, LO).0, DROP);
    assert_eq!(kernel.events().unwrap()[5], 2);
}

#[test]
fn p5_an_established_flow_stays_when_the_table_changes_and_a_new_one_follows_it() {
    let Some(mut kernel) = kernel(&all(PLACE_A)) else {
        return;
    };
    let at = |flags| segment("198.51.100.7:1000", "192.0.2.1:80", flags);
    assert_eq!(sent(&mut kernel, &at(SYN)), Some(A));
    assert_eq!(kernel.events().unwrap()[0], 0, "a SYN leaves no trace");
    assert_eq!(sent(&mut kernel, &at(ACK)), Some(A));
    assert_eq!(kernel.events().unwrap()[0], 1);
    kernel.set_table(3, 0, &all(PLACE_B)).unwrap();
    assert_eq!(sent(&mut kernel, &at(ACK)), Some(A), "established");
    let new = segment("198.51.100.7:1001", "192.0.2.1:80", SYN);
    assert_eq!(sent(&mut kernel, &new), Some(B));

    // A server that is down keeps its connections, but the same ports begin anew elsewhere.
    kernel.set_backend(PLACE_A, A, flag::KEEPS_TCP).unwrap();
    assert_eq!(sent(&mut kernel, &at(ACK)), Some(A));
    assert_eq!(sent(&mut kernel, &at(SYN)), Some(B));
    assert_eq!(sent(&mut kernel, &at(ACK)), Some(B));
}

#[test]
fn flows_move_when_their_backend_is_cut_or_its_place_is_anothers() {
    let Some(mut kernel) = kernel(&all(PLACE_A)) else {
        return;
    };
    let ack = segment("198.51.100.7:1000", "192.0.2.1:80", ACK);
    let datagram = datagram("198.51.100.7:1000", "192.0.2.1:80");
    assert_eq!(sent(&mut kernel, &ack), Some(A));
    assert_eq!(sent(&mut kernel, &datagram), Some(A));
    kernel.set_table(3, 0, &all(PLACE_B)).unwrap();
    assert_eq!(sent(&mut kernel, &datagram), Some(A));
    kernel.set_backend(PLACE_A, A, flag::KEEPS_TCP).unwrap();
    assert_eq!(sent(&mut kernel, &datagram), Some(B), "datagrams move");
    assert_eq!(sent(&mut kernel, &ack), Some(A), "connections do not");
    let next = Place {
        epoch: 2,
        ..PLACE_A
    };
    kernel.set_backend(next, ROUTER, ALL).unwrap();
    assert_eq!(
        sent(&mut kernel, &ack),
        Some(B),
        "not the place's new owner"
    );
}

#[test]
fn an_icmp_error_goes_after_its_flow() {
    let Some(mut kernel) = kernel(&all(PLACE_A)) else {
        return;
    };
    let ack = segment("198.51.100.7:1000", "192.0.2.1:80", ACK);
    assert_eq!(sent(&mut kernel, &ack), Some(A));
    kernel.set_table(3, 0, &all(PLACE_B)).unwrap();
    let quoted = |port| {
        let answer = tcp(80, port, ACK);
        ip(
            [192, 0, 2, 1].into(),
            [198, 51, 100, 7].into(),
            TCP,
            &answer[..8],
        )
    };
    // A router on the way says: too big, 1280.
    let error = |quoted: Vec<u8>| {
        let body = [&[3, 4, 0, 0, 0, 0, 5, 0][..], &quoted].concat();
        frame(&ip(
            [203, 0, 113, 1].into(),
            [192, 0, 2, 1].into(),
            1,
            &body,
        ))
    };
    assert_eq!(sent(&mut kernel, &error(quoted(1000))), Some(A));
    assert_eq!(
        sent(&mut kernel, &error(quoted(1001))),
        Some(B),
        "by the table"
    );
    // One about somebody else's packet is not ours.
    let foreign = ip(
        [192, 0, 2, 9].into(),
        [198, 51, 100, 7].into(),
        TCP,
        &tcp(80, 1000, ACK),
    );
    assert_eq!(sent(&mut kernel, &error(foreign)), None);
    let ends = [address("[2001:db8::1]:80"), address("[2001:db8::7]:1000")];
    let quoted = ip(ends[0].ip(), ends[1].ip(), TCP, &tcp(80, 1000, ACK));
    let body = [&[2, 0, 0, 0, 0, 0, 5, 0][..], &quoted].concat();
    let router = address("[2001:db8::99]:1");
    let v6 = frame(&ip(router.ip(), ends[0].ip(), 58, &body));
    assert_eq!(sent(&mut kernel, &v6), Some(B));
    assert_eq!(kernel.events().unwrap()[6], 3);
}

#[test]
fn with_nobody_to_take_it_a_packet_is_left_to_the_stack() {
    let Some(mut kernel) = kernel(&vec![NOBODY; SLOTS]) else {
        return;
    };
    let syn = segment("198.51.100.7:1000", "192.0.2.1:80", SYN);
    assert_eq!(sent(&mut kernel, &syn), None);
    assert_eq!(kernel.events().unwrap()[3], 1);
    // As for a backend that was never written.
    kernel.set_table(3, 0, &vec![77; SLOTS]).unwrap();
    assert_eq!(sent(&mut kernel, &syn), None);
}

/// The slot is the one that the hash of the same connection names elsewhere.
#[test]
fn p5_the_kernel_hashes_as_the_proxy_does() {
    let Some(mut kernel) = kernel(&all(PLACE_A)) else {
        return;
    };
    let clients = ["198.51.100.7:1000", "203.0.113.9:50123"].map(|c| (c, "192.0.2.1:80"));
    let v6 =
        ["[2001:db8::7]:1000", "[2001:db8:1:2:3:4:5:6]:65535"].map(|c| (c, "[2001:db8::1]:80"));
    for (from, to) in clients.into_iter().chain(v6) {
        let (client, vip) = (address(from), address(to));
        let tuple = Tuple {
            source: client,
            destination: vip,
            transport: Transport::Tcp,
        };
        for (hash, frame) in [
            (tuple.hash(), segment(from, to, SYN)),
            // The listeners of UDP in these tests go by source.
            (hash_address(client.ip()), datagram(from, to)),
        ] {
            let mut slots = vec![NOBODY; SLOTS];
            slots[(hash % SLOTS as u64) as usize] = PLACE_B.number;
            kernel.set_table(3, 0, &slots).unwrap();
            assert_eq!(sent(&mut kernel, &frame), Some(B), "{from}");
        }
    }
}

/// Flows of strangers are written down at a bounded rate; all are forwarded.
#[test]
fn a_flood_of_flows_is_forwarded_but_not_remembered() {
    if unable::check("web", "lo").is_err() {
        return;
    }
    let mut kernel = Kernel::load(1024, 10).unwrap();
    kernel.set_link(LO, Some(OWN)).unwrap();
    kernel.set_backend(PLACE_A, A, ALL).unwrap();
    kernel.set_table(0, 0, &all(PLACE_A)).unwrap();
    let vip = vip_key(address("192.0.2.1:80"), UDP);
    kernel.set_vip(&vip, 0, 0, 0).unwrap();
    for port in 1..=500 {
        let frame = datagram(&format!("198.51.100.7:{port}"), "192.0.2.1:80");
        assert_eq!(sent(&mut kernel, &frame), Some(A));
    }
    let [made, _, unwritten, ..] = kernel.events().unwrap();
    assert_eq!(made + unwritten, 500);
    // It may run on several CPUs, and take a few seconds.
    assert!(unwritten > 200, "{unwritten}");
}

/// The object is what the source gives.
#[test]
fn the_object_is_built_from_its_source() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/src/proxy/xdp/program");
    let tools = ["clang-14", "llvm-objdump-14"];
    if tools
        .iter()
        .any(|t| Command::new(t).arg("--version").output().is_err())
    {
        eprintln!(
            "skipped: install clang-14, llvm-14 and libbpf-dev to have the XDP program rebuilt"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let built = dir.path().join("forward.bpf.o");
    let build = Command::new(format!("{here}/build"))
        .arg(&built)
        .output()
        .unwrap();
    assert!(
        build.status.success(),
        "{}",
        String::from_utf8_lossy(&build.stderr)
    );
    let committed = format!("{here}/forward.bpf.o");
    if std::fs::read(&built).unwrap() == std::fs::read(&committed).unwrap() {
        return;
    }
    // Another build of the compiler may order strings otherwise; the instructions must be the same.
    let disassembled = |path: &std::path::Path| {
        let mut command = Command::new("llvm-objdump-14");
        let out = command.args(["-d", "-r"]).arg(path).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        // The first lines name the file.
        text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        disassembled(&built),
        disassembled(committed.as_ref()),
        "run src/proxy/xdp/program/build and commit what it writes"
    );
}

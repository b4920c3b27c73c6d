//! Two ends with real certificates, in memory: who is let in, who is refused, and what both ends say.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, ServerConnection};

use super::claims::role_words;
use super::testing::{START, World, roles};
use super::*;
use crate::fleet::credentials::{Credentials, Peer, Roles, SERVER_NAME};
use crate::overrides::vouch::{Signed, Vouch};

const DAY: Duration = Duration::from_secs(86_400);

/// Lets the two shake hands; the peers as each end sees them, or what the first to refuse said.
fn meet(client: &Identity, server: &Identity) -> Result<(Peer, Peer), String> {
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut c = ClientConnection::new(client.client(), name).unwrap();
    let mut s = ServerConnection::new(server.server()).unwrap();
    let mut failed: Option<String> = None;
    for _ in 0..6 {
        let mut wire = Vec::new();
        while c.wants_write() {
            c.write_tls(&mut wire).unwrap();
        }
        let mut wire = &wire[..];
        while !wire.is_empty() && s.read_tls(&mut wire).is_ok() {
            if let Err(e) = s.process_new_packets() {
                server.refusals().tls("client", &e);
                failed.get_or_insert(e.to_string());
                break;
            }
        }
        let mut wire = Vec::new();
        while s.wants_write() {
            s.write_tls(&mut wire).unwrap();
        }
        let mut wire = &wire[..];
        while !wire.is_empty() && c.read_tls(&mut wire).is_ok() {
            if let Err(e) = c.process_new_packets() {
                client.refusals().tls("server", &e);
                failed.get_or_insert(e.to_string());
                break;
            }
        }
    }
    if let Some(failed) = failed {
        return Err(failed);
    }
    assert!(!c.is_handshaking() && !s.is_handshaking());
    Ok((
        client.peer(c.peer_certificates().unwrap_or_default())?,
        server.peer(s.peer_certificates().unwrap_or_default())?,
    ))
}

const BOTH: &[(&str, &str)] = &[("dns1", "dns,admin"), ("p1", "probe")];

#[test]
fn c9_nodes_of_one_fleet_know_each_other_by_name_and_role() {
    let world = World::new("one");
    let dns = world.node("dns1", "dns,admin", BOTH);
    let probe = world.node("p1", "probe", BOTH);
    let (seen_by_probe, seen_by_dns) = meet(&probe, &dns).unwrap();
    assert_eq!(&*seen_by_probe.node, "dns1");
    assert_eq!(seen_by_probe.roles, roles("dns,admin"));
    assert_eq!(&*seen_by_dns.node, "p1");
    assert_eq!(role_words(seen_by_dns.roles), ["probe"]);
    for reason in Reason::ALL {
        assert_eq!(dns.refusals().count(Side::Here, *reason), 0, "{reason:?}");
    }
}

#[test]
fn c9_another_authority_is_refused_and_both_ends_know_why() {
    let (world, other) = (World::new("one"), World::new("one"));
    let dns = world.node("dns1", "dns,admin", BOTH);
    let stranger = other.node("p1", "probe", BOTH);
    // The client looks first.
    meet(&stranger, &dns).unwrap_err();
    let count = |i: &Identity, side| i.refusals().count(side, Reason::OtherAuthority);
    assert_eq!(count(&stranger, Side::Here), 1);
    assert_eq!(count(&dns, Side::There), 1);
    // A client that trusts both lets the server look.
    let trusted = format!("{}{}", world.ca.certificate, other.ca.certificate);
    other.write(&other.ca, &trusted, "p1", "probe", 365);
    let stranger = other.identity("p1", "probe", BOTH);
    meet(&stranger, &dns).unwrap_err();
    assert_eq!(count(&dns, Side::Here), 1);
    assert_eq!(count(&stranger, Side::There), 1);
}

#[test]
fn c9_an_expired_certificate_is_refused_and_both_ends_know_why() {
    let world = World::new("one");
    let dns = world.node("dns1", "dns,admin", BOTH);
    world.write(&world.ca, &world.ca.certificate, "p1", "probe", 2);
    let probe = world.identity("p1", "probe", BOTH);
    meet(&probe, &dns).unwrap();
    world.clock.advance(3 * DAY);
    meet(&probe, &dns).unwrap_err();
    assert_eq!(dns.refusals().count(Side::Here, Reason::Expired), 1);
    assert_eq!(probe.refusals().count(Side::There, Reason::Expired), 1);
    let trouble = world.read("p1", "probe").unwrap().trouble_at(world.now());
    assert_eq!(
        trouble.as_deref(),
        Some("expired on 2026-01-03 00:00:00 UTC")
    );
    let trouble = |after: u32| {
        let material = dns.in_force.load();
        material
            .material
            .trouble_at(world.now() + u64::from(after) * 86_400)
    };
    assert_eq!(trouble(300), None);
    assert_eq!(
        trouble(340).as_deref(),
        Some("expires on 2027-01-01 00:00:00 UTC")
    );
    // Renewed, and let in again.
    world.write(&world.ca, &world.ca.certificate, "p1", "probe", 365);
    probe.look();
    meet(&probe, &dns).unwrap();
    // Nobody lives longer than the authority.
    world.clock.advance(3660 * DAY);
    meet(&probe, &dns).unwrap_err();
}

/// A QUIC endpoint on loopback that is both ends, as members are.
fn endpoint(identity: &Identity) -> quinn::Endpoint {
    use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
    let (mut server, mut client) = ((*identity.server()).clone(), (*identity.client()).clone());
    server.alpn_protocols = vec![b"test".to_vec()];
    client.alpn_protocols = vec![b"test".to_vec()];
    let server = QuicServerConfig::try_from(server).unwrap();
    let server = quinn::ServerConfig::with_crypto(Arc::new(server));
    let mut endpoint = quinn::Endpoint::server(server, ([127, 0, 0, 1], 0).into()).unwrap();
    let client = QuicClientConfig::try_from(client).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(client)));
    endpoint
}

#[tokio::test]
async fn c9_over_quic_both_ends_know_why_as_well() {
    let world = World::new("one");
    let dns = world.node("dns1", "dns,admin", BOTH);
    world.write(&world.ca, &world.ca.certificate, "p1", "probe", 2);
    let probe = world.identity("p1", "probe", BOTH);
    let server = endpoint(&dns);
    let address = server.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let mut met = Vec::new();
        while let Some(incoming) = server.accept().await {
            met.push(incoming.await);
        }
        met
    });
    let meet = async || {
        let end = endpoint(&probe);
        let connection = end.connect(address, SERVER_NAME).unwrap().await?;
        let chain = connection.peer_identity().unwrap();
        let chain = chain.downcast::<Vec<CertificateDer<'static>>>().unwrap();
        assert_eq!(&*probe.peer(&chain).unwrap().node, "dns1");
        // The other end looks at our certificate when the handshake is over for us.
        let mut stream = connection.open_uni().await?;
        let _ = stream.write_all(b"x").await;
        let ended = tokio::time::timeout(Duration::from_millis(500), connection.closed()).await;
        match ended {
            Ok(error) => Err(error),
            Err(_) => Ok(()),
        }
    };
    meet().await.unwrap();
    world.clock.advance(3 * DAY);
    let error = meet().await.unwrap_err();
    probe.refusals().quic("dns1", &error);
    assert_eq!(
        probe.refusals().count(Side::There, Reason::Expired),
        1,
        "{error}"
    );
    assert_eq!(dns.refusals().count(Side::Here, Reason::Expired), 1);
    accepting.abort();
}

#[test]
fn c9_the_configuration_says_who_may_be_there() {
    let world = World::new("one");
    let dns = world.node("dns1", "dns,admin", BOTH);
    let refused = |who: &Identity, want: &str, reason: Reason| {
        let before = dns.refusals().count(Side::Here, reason);
        let error = meet(who, &dns).unwrap_err();
        assert!(error.contains(want), "{error}");
        assert_eq!(dns.refusals().count(Side::Here, reason), before + 1);
    };
    // A node that nobody knows.
    let unknown = world.node("p9", "probe", BOTH);
    refused(
        &unknown,
        "has no node `p9` with `fleet`",
        Reason::UnknownNode,
    );
    // Known from now on.
    let more: Roster = [("dns1", roles("dns,admin")), ("p9", roles("probe"))]
        .into_iter()
        .collect();
    dns.adopt_roster(more);
    meet(&unknown, &dns).unwrap();
    // A certificate that lacks a role.
    let more: Roster = [("dns1", roles("dns,admin")), ("p9", roles("probe,dns"))]
        .into_iter()
        .collect();
    dns.adopt_roster(more);
    refused(
        &unknown,
        "has the roles probe, and the configuration of node `dns1` gives it the roles dns, probe; \
         make a new one with `tradewind fleet issue p9`",
        Reason::MissingRole,
    );
    // Another cluster under the same authorities.
    let other = World::new("two");
    let trusted = format!("{}{}", world.ca.certificate, other.ca.certificate);
    world.write(&world.ca, &trusted, "dns1", "dns,admin", 365);
    dns.look();
    other.write(&other.ca, &trusted, "p1", "probe", 365);
    let foreign = other.identity("p1", "probe", BOTH);
    // The client judges as well.
    let error = meet(&foreign, &dns).unwrap_err();
    assert!(error.contains("node `dns1` is of cluster `one`"), "{error}");
    refused_by_server(&dns, &other, "node `p1` is of cluster `two`");
}

fn refused_by_server(dns: &Identity, other: &World, want: &str) {
    let chain = fs::read(other.files("p1").certificate).unwrap();
    let chain = claims::certificates(&chain).unwrap();
    let error = dns.peer(&chain).unwrap_err();
    assert!(error.contains(want), "{error}");
    assert_eq!(dns.refusals().count(Side::Here, Reason::OtherCluster), 1);
    assert!(dns.peer(&[]).unwrap_err().contains("no certificate"));
    assert!(dns.peer(&[CertificateDer::from(vec![1, 2, 3])]).is_err());
    // A certificate of the authority itself is no node's.
    let ca = claims::certificates(other.ca.certificate.as_bytes()).unwrap();
    assert!(dns.peer(&ca).unwrap_err().contains("names no node"));
}

#[test]
fn c9_authorities_are_replaced_without_a_round_in_which_nobody_meets() {
    let world = World::new("one");
    let new_ca = Authority::make("one", START, 3650).unwrap();
    let both = format!("{}{}", world.ca.certificate, new_ca.certificate);
    let dns = world.node("dns1", "dns,admin", BOTH);
    let probe = world.node("p1", "probe", BOTH);
    let all_meet = || {
        meet(&probe, &dns).unwrap();
        meet(&dns, &probe).unwrap();
    };
    let mut changes = dns.changes();
    all_meet();
    for (ca, trusted) in [
        // Trust both; then sign with the new; then trust only that. One node after the other.
        (&world.ca, &both),
        (&new_ca, &both),
        (&new_ca, &new_ca.certificate),
    ] {
        world.write(ca, trusted, "dns1", "dns,admin", 365);
        dns.look();
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        all_meet();
        world.write(ca, trusted, "p1", "probe", 365);
        probe.look();
        all_meet();
    }
    // In the wrong order: the node keeps what works.
    let third = Authority::make("one", START, 3650).unwrap();
    fs::write(world.files("dns1").ca, &third.certificate).unwrap();
    for _ in 0..3 {
        dns.look();
    }
    assert!(!changes.has_changed().unwrap());
    all_meet();
}

#[test]
fn half_written_files_are_waited_for() {
    let world = World::new("one");
    let dns = world.node("dns1", "dns,admin", BOTH);
    let before = dns.not_after();
    let files = world.files("dns1");
    let key = fs::read(&files.key).unwrap();
    world.clock.advance(DAY);
    world.write(&world.ca, &world.ca.certificate, "dns1", "dns,admin", 365);
    let new_key = fs::read(&files.key).unwrap();
    fs::write(&files.key, key).unwrap();
    dns.look();
    assert_eq!(dns.looks().refused, None, "not yet");
    dns.look();
    assert!(dns.looks().refused.is_some());
    assert_eq!(dns.not_after(), before);
    fs::write(&files.key, new_key).unwrap();
    dns.look();
    assert_eq!(dns.looks().refused, None);
    assert_eq!(dns.not_after(), before + 86_400);
    fs::remove_file(&files.ca).unwrap();
    dns.look();
    dns.look();
    assert!(dns.looks().refused.is_some());
    assert_eq!(dns.not_after(), before + 86_400);
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let world = World::new("one");
    let write = || {
        world.write(&world.ca, &world.ca.certificate, "dns1", "dns", 365);
    };
    let other = World::new("one");
    other.node("dns1", "dns", BOTH);
    let (own, others) = (world.files("dns1"), other.files("dns1"));
    let copy = |from: &Path, to: &Path| {
        fs::copy(from, to).unwrap();
    };
    write();
    world.read("dns1", "dns").unwrap();
    let told = |node: &str, cluster: &str, has: &str| {
        let e = Material::read(&own, cluster, node, roles(has)).unwrap_err();
        (e.file, e.text)
    };
    use super::material::Which::{Ca, Certificate, Key};
    let check = |found: (material::Which, String), file, want: &str| {
        assert!(found.0 == file && found.1.contains(want), "{found:?}");
    };
    check(
        told("dns2", "one", "dns"),
        Certificate,
        "of node `dns1`, not of `dns2`",
    );
    check(told("dns1", "two", "dns"), Certificate, "of cluster `one`");
    check(
        told("dns1", "one", "dns,probe"),
        Certificate,
        "has the roles dns, and the configuration gives node `dns1` the roles dns, probe; make one \
         with `tradewind fleet issue dns1 --roles dns,probe`",
    );
    copy(&others.key, &own.key);
    check(
        told("dns1", "one", "dns"),
        Key,
        "not the key of the certificate",
    );
    copy(&others.certificate, &own.certificate);
    check(
        told("dns1", "one", "dns"),
        Certificate,
        "of no CA in our `ca.pem`",
    );
    write();
    copy(&own.certificate, &own.ca);
    check(told("dns1", "one", "dns"), Ca, "no CA certificate");
    write();
    copy(&own.key, &own.certificate);
    check(
        told("dns1", "one", "dns"),
        Certificate,
        "no PEM certificate",
    );
    write();
    fs::write(&own.key, "-----BEGIN PRIVATE KEY-----\nAAAA\n").unwrap();
    check(told("dns1", "one", "dns"), Key, "no whole PEM private key");
    fs::remove_file(&own.key).unwrap();
    check(told("dns1", "one", "dns"), Key, "cannot read");
}

#[test]
fn orders_are_believed_only_of_those_who_may_give_them() {
    let world = World::new("one");
    let dns = world.node("dns1", "dns,admin", BOTH);
    let probe = world.node("p1", "probe", BOTH);
    let now = world.now() * 1000;
    let order = b"drain region eu";
    let signed = dns.sign(order).unwrap();
    let check = |signed: Option<&Signed>, author: &str, bytes: &[u8], at: u64| {
        probe
            .check(author, bytes, signed, at)
            .map_err(|e| e.to_string())
    };
    let good = Some(&signed);
    check(good, "dns1", order, now).unwrap();
    let refused = |found: Result<(), String>, want: &str| {
        let e = found.unwrap_err();
        assert!(e.contains(want), "{e}");
    };
    refused(check(None, "dns1", order, now), "not signed");
    refused(check(good, "p1", order, now), "signed by node `dns1`");
    refused(check(good, "dns1", b"drain region us", now), "signature");
    // A probe may not.
    let by_probe = probe.sign(order).unwrap();
    refused(
        check(Some(&by_probe), "p1", order, now),
        "has the roles probe",
    );
    // An hour and five minutes before it was made, and a year after.
    check(good, "dns1", order, now - 3_800_000).unwrap();
    refused(
        check(good, "dns1", order, now - 4_000_000),
        "not valid before",
    );
    check(good, "dns1", order, now + 364 * 86_400_000).unwrap();
    refused(
        check(good, "dns1", order, now + 366 * 86_400_000),
        "expired",
    );
    // Another fleet of the same name.
    let other = World::new("one").node("dns1", "dns,admin", BOTH);
    let foreign = other.sign(order).unwrap();
    refused(check(Some(&foreign), "dns1", order, now), "no CA in our");
    // The certificate of one with the signature of another.
    let mixed = Signed {
        signature: foreign.signature.clone(),
        ..signed.clone()
    };
    refused(check(Some(&mixed), "dns1", order, now), "signature");
    // A signature is still good when its certificate has been replaced.
    world.write(&world.ca, &world.ca.certificate, "dns1", "dns,admin", 365);
    dns.look();
    check(good, "dns1", order, now).unwrap();
}

#[test]
fn names_of_certificates_are_those_of_the_configuration() {
    assert!(Authority::make("my fleet", START, 1).is_err());
    let ca = Authority::make("f", START, 30).unwrap();
    let authority = Authority::read(ca.certificate.as_bytes(), &ca.key).unwrap();
    assert!(authority.issue("a/b", roles("dns"), START, 1).is_err());
    assert!(authority.issue("a", Roles::default(), START, 1).is_err());
    assert!(
        authority
            .issue("a", roles("dns"), START + 31 * 86_400, 1)
            .is_err()
    );
    // A node's certificate does not outlive its authority.
    let made = authority.issue("a", roles("dns"), START, 365).unwrap();
    assert_eq!(made.claims.not_after, ca.claims.not_after);
    assert_eq!(made.claims.issuer, ca.claims.subject);
    // The key of another authority.
    let other = Authority::make("f", START, 30).unwrap();
    let error = Authority::read(ca.certificate.as_bytes(), &other.key).unwrap_err();
    assert!(error.contains("none of the CA certificates"), "{error}");
    assert_ne!(ca.claims.subject, other.claims.subject);
}

proptest! {
    #[test]
    fn damaged_certificates_never_panic(at in 0usize..600, bytes in prop::collection::vec(any::<u8>(), 0..6)) {
        let ca = Authority::make("f", START, 30).unwrap();
        let mut der = claims::certificates(ca.certificate.as_bytes()).unwrap()[0].to_vec();
        let at = at.min(der.len());
        let end = (at + bytes.len()).min(der.len());
        der.splice(at..end, bytes);
        let _ = Claims::read(&der);
    }
}

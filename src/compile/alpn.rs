//! Which protocols the HTTPS records of a name say: those of the listeners that its VIPs lead to
//! (requirement A4).

use std::net::IpAddr;

use crate::config::Spec;
use crate::config::spec::{HttpsSpec, ListenerSpec, NameSpec, ProtocolSpec};
use crate::dns::svcb::{MAX_ALPN, MAX_ALPN_ID, Service};
use crate::traffic::Vip;

use super::Problems;
use super::vips::{covers, listeners_of};

/// What is spoken where the record says nothing else (RFC 9460 section 7.1.1).
const DEFAULT: &[u8] = b"http/1.1";

/// What the HTTPS records of `n` say beside the hints; `None` when it has none.
pub(super) fn service(
    spec: &Spec,
    vips: &[Vip],
    n: &NameSpec,
    p: &mut Problems,
) -> Option<Service> {
    let https = &n.https.as_ref()?.value;
    let places = places(spec, vips, n, https);
    let ids: Vec<Vec<u8>> = match &https.alpn {
        Some(said) => {
            for place in places.iter().flatten() {
                speaks(n, https, place, p);
            }
            said.iter().map(|id| id.as_bytes().to_vec()).collect()
        }
        None => common(&places),
    };
    Some(Service::new(
        https.priority,
        &ids,
        https.default_alpn,
        https.port,
    ))
}

/// A listener that clients of the name come to.
struct Place<'s> {
    vip: &'s str,
    listener: &'s str,
    speaks: Vec<Vec<u8>>,
}

/// The listeners behind all addresses of a name; `None` stands for an address of which it is not known
/// here what is spoken there.
fn places<'s>(
    spec: &'s Spec,
    vips: &'s [Vip],
    n: &NameSpec,
    https: &HttpsSpec,
) -> Vec<Option<Place<'s>>> {
    let port = https.port.unwrap_or(443);
    let pools = spec.pools.iter();
    let pools = pools.filter(|pool| n.pools.iter().any(|name| *name.value == *pool.name));
    let endpoints = pools.flat_map(|pool| &pool.endpoints).filter(|e| e.enabled);
    let addresses = endpoints.map(|e| e.address.as_ref().map(|a| a.value));
    let mut places = Vec::new();
    for address in addresses {
        let vip = vips
            .iter()
            .find(|v| v.addresses.iter().any(|a| Some(a.address()) == address));
        let (Some(address), Some(vip)) = (address, vip) else {
            places.push(None);
            continue;
        };
        for node in &vip.nodes {
            places.extend(listeners_at(spec, &node.name, address, port, &vip.name));
        }
    }
    places
}

/// The listeners of a node behind an address and port.
fn listeners_at<'s>(
    spec: &'s Spec,
    node: &str,
    address: IpAddr,
    port: u16,
    vip: &'s str,
) -> Vec<Option<Place<'s>>> {
    let node = spec.nodes.iter().find(|n| *n.name == *node);
    let own = node.into_iter().flat_map(|n| listeners_of(spec, n));
    let here = |l: &&ListenerSpec| {
        let mut bind = l.bind.iter();
        bind.any(|b| b.port() == port && covers(b.value, address))
    };
    let found = own.filter(here).map(|l| {
        Some(Place {
            vip,
            listener: &l.name,
            speaks: spoken(l)?,
        })
    });
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => vec![None],
        false => found,
    }
}

/// What a listener agrees to within TLS; `None` when TLS ends elsewhere, or says nothing of it.
fn spoken(l: &ListenerSpec) -> Option<Vec<Vec<u8>>> {
    let tls = l.settings.tls.as_ref()?;
    match (&tls.alpn, &l.protocol) {
        (Some(said), _) => (!said.is_empty()).then(|| said.clone()),
        (None, ProtocolSpec::Http) if l.settings.http2 => {
            Some(vec![b"h2".to_vec(), DEFAULT.to_vec()])
        }
        (None, ProtocolSpec::Http) => Some(vec![DEFAULT.to_vec()]),
        (None, _) => None,
    }
}

/// What is said must be spoken: clients would try it first, and fail.
fn speaks(n: &NameSpec, https: &HttpsSpec, place: &Place<'_>, p: &mut Problems) {
    for id in https.alpn.iter().flatten() {
        if place.speaks.iter().any(|s| s == id.as_bytes()) {
            continue;
        }
        let spoken: Vec<_> = place
            .speaks
            .iter()
            .map(|s| String::from_utf8_lossy(s))
            .collect();
        let text = format!(
            "the HTTPS records of name `{}` say `{}`, but listener `{}`, which VIP `{}` leads to, speaks \
             {}",
            n.name.value,
            id.value,
            place.listener,
            place.vip,
            spoken.join(", ")
        );
        // Both nodes of a VIP have the listener; it is told once.
        if !p.has(id.span, &text) {
            p.error(id.span, text).help = Some(
                "take it out of `alpn`, or leave `alpn` out: then the listeners say it".to_owned(),
            );
        }
    }
}

/// What every listener speaks beside the default; nothing where one is not known.
fn common(places: &[Option<Place<'_>>]) -> Vec<Vec<u8>> {
    let Some(all) = places
        .iter()
        .map(Option::as_ref)
        .collect::<Option<Vec<_>>>()
    else {
        return Vec::new();
    };
    let Some((first, others)) = all.split_first() else {
        return Vec::new();
    };
    let everywhere = |id: &&Vec<u8>| others.iter().all(|o| o.speaks.contains(*id));
    let ids = first.speaks.iter().filter(everywhere);
    let ids = ids.filter(|id| **id != DEFAULT && id.len() <= MAX_ALPN_ID);
    ids.take(MAX_ALPN).cloned().collect()
}

#[cfg(test)]
mod tests {
    use crate::compile::compile;
    use crate::config::load::load_texts;
    use crate::dns::svcb::Service;

    /// What the HTTPS records of the one name say, given the rest of its table and the listeners.
    fn said(https: &str, listeners: &str) -> Option<Service> {
        let text = format!(
            "version = 1\n[regions.eu]\nlatitude = 50\nlongitude = 8\n\
             [zones.\"gslb.example\"]\nfile = \"gslb.zone\"\n\
             [policies.any]\nstages = [{{ random = {{}} }}]\n\
             [pools.vips]\nregion = \"eu\"\nendpoints = [{{ name = \"one\", address = \"192.0.2.10\" }}]\n\
             [names.\"www.gslb.example\"]\npools = [\"vips\"]\npolicy = \"any\"\nhttps = {{ {https} }}\n\
             [nodes.fra1]\nregion = \"eu\"\nroles = [\"proxy\"]\n\
             [vips.one]\naddress = [\"192.0.2.10/24\"]\nnodes = [\"fra1\"]\ninterface = \"eth0\"\n\
             router-id = 51\n{listeners}"
        );
        let zone = b"$ORIGIN gslb.example.\n$TTL 300\n@ IN SOA ns h 1 2 3 4 5\n@ IN NS ns\n\
                     ns IN A 192.0.2.53\n";
        let loaded = load_texts(vec![("t.toml".into(), text.into())], &mut |_| {
            Ok(zone.to_vec())
        });
        assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
        let (compiled, found) = compile(&loaded.spec, &loaded.inputs, &loaded.sources, None);
        let compiled = compiled.unwrap_or_else(|| panic!("{found:?}"));
        compiled.snapshot.steering.names[0].https.clone()
    }

    const TLS: &str = "tls = { certificates = [{ certificate = \"c.pem\", key = \"k.pem\" }]";

    #[test]
    fn a4_without_alpn_the_records_say_what_the_listeners_of_the_vips_speak() {
        let wants = |ids: &[&str]| Some(Service::new(1, ids, true, None));
        let one = format!("[listeners.a]\nbind = [\"0.0.0.0:443\"]\n{TLS} }}\n");
        assert_eq!(said("priority = 1", &one), wants(&["h2"]));
        // What is said stays as it was said.
        assert_eq!(said("alpn = []", &one), wants(&[]));
        let http1 = format!("{one}http2 = false\n");
        assert_eq!(said("priority = 1", &http1), wants(&[]));
        // A second listener behind the address speaks less: nobody knows which one a client meets.
        let two =
            format!("{one}[listeners.b]\nbind = [\"192.0.2.10:443\"]\n{TLS} }}\nhttp2 = false\n");
        assert_eq!(said("priority = 1", &two), wants(&[]));
        // Another port has another listener.
        let other = format!("[listeners.a]\nbind = [\"0.0.0.0:8443\"]\n{TLS} }}\n");
        assert_eq!(said("priority = 1", &other), wants(&[]));
        let at = Some(Service::new(1, &["h2"], true, Some(8443)));
        assert_eq!(said("port = 8443", &other), at);
    }
}

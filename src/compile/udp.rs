//! What the upstreams of listeners for datagrams cannot have.

use crate::config::Spec;
use crate::config::spec::{ListenerSpec, ProtocolSpec, UpstreamSpec};
use crate::traffic::Origin;
use crate::traffic::proxy_protocol::ProxyVersion;

use super::Problems;

/// Reports what makes no sense with datagrams.
pub(super) fn check(spec: &Spec, p: &mut Problems) {
    for listener in &spec.listeners {
        if !matches!(listener.protocol, ProtocolSpec::Udp(_)) {
            continue;
        }
        let Some(forward) = &listener.forward else {
            continue;
        };
        // One that is not there was reported.
        let upstream = spec
            .upstreams
            .iter()
            .find(|u| u.name.value == forward.value);
        if let Some(upstream) = upstream {
            check_upstream(listener, upstream, p);
        }
    }
}

fn check_upstream(listener: &ListenerSpec, upstream: &UpstreamSpec, p: &mut Problems) {
    let settings = &upstream.settings;
    let mut report = |what: &str, help: String| {
        let (listener_name, name) = (&listener.name.value, &upstream.name.value);
        let at = listener
            .forward
            .as_ref()
            .map_or(listener.name.span, |f| f.span);
        let d = p.error(
            at,
            format!(
                "listener `{listener_name}` sends datagrams to upstream `{name}`, which has {what}"
            ),
        );
        d.related
            .push((upstream.name.span, format!("upstream `{name}` is here")));
        d.help = Some(help);
    };
    if settings.tls.is_some() {
        report(
            "`tls`: that is for connections",
            "take `tls` out of the upstream, or forward to another one; what is encrypted end to end (QUIC, DTLS) passes as it is".to_owned(),
        );
    }
    if settings.http2 {
        report(
            "`http2`: that is for connections",
            "take `http2` out of the upstream, or forward to another one".to_owned(),
        );
    }
    if settings.proxy_protocol == Some(ProxyVersion::V1) {
        report(
            "`proxy-protocol = \"v1\"`, which knows no datagrams",
            "write `proxy-protocol = \"v2\"`: its header then stands before every datagram"
                .to_owned(),
        );
    }
    if settings.origin == Origin::Client {
        report(
            "`transparent`: that is for connections",
            "take `transparent` out of the upstream, or tell backends the client by `proxy-protocol = \"v2\"`"
                .to_owned(),
        );
    }
}

//! Which address connections to the backends of an upstream come from.

use std::net::IpAddr;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::BackendSpec;
use crate::traffic::Origin;

use super::context::Context;
use super::reader::Reader;

/// `source` and `transparent` of an upstream with these backends.
pub(super) fn decode(cx: &mut Context<'_>, r: &Reader<'_>, backends: &[BackendSpec]) -> Origin {
    let source: Option<Marked<IpAddr>> = r.get(cx, "source");
    let transparent = r.get_or(cx, "transparent", false);
    let Some(source) = source else {
        return match transparent.value {
            true => Origin::Client,
            false => Origin::System,
        };
    };
    if transparent.value {
        cx.push(
            Diagnostic::error(
                source.span,
                format!(
                    "{} is set, but `transparent` is true: connections come from the client's address",
                    r.name_of("source")
                ),
            )
            .related(transparent.span, "`transparent` is set here")
            .help("remove one of them"),
        );
    }
    let family = |is_ipv4: bool| if is_ipv4 { "IPv4" } else { "IPv6" };
    for backend in backends {
        let address = backend.settings.address;
        if address.is_ipv4() == source.value.is_ipv4() {
            continue;
        }
        cx.push(
            Diagnostic::error(
                source.span,
                format!(
                    "{} is {}, an {} address, but backend `{}` is at {address}, over {}",
                    r.name_of("source"),
                    source.value,
                    family(source.value.is_ipv4()),
                    backend.name.value,
                    family(address.is_ipv4()),
                ),
            )
            .related(backend.name.span, "the backend")
            .help("give backends of the other family an upstream of their own"),
        );
        // One of them says enough.
        break;
    }
    Origin::Address(source.value)
}

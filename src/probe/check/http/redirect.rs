//! Redirects: followed only where they stay on the target.

use std::net::SocketAddr;

use hyper::header::LOCATION;
use hyper::{Method, Response, StatusCode};
use url::Url;

use crate::health::Failure;

/// Where a request seems to go: the URL that a client of the service would see.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Place(Url);

impl Place {
    /// `path` (with query) at `host` (with port, if any).
    pub(super) fn first(tls: bool, host: &str, path: &str) -> Result<Place, Failure> {
        let text = format!("{}://{host}{path}", if tls { "https" } else { "http" });
        match Url::parse(&text) {
            Ok(url) if url.host().is_some() => Ok(Place(url)),
            Ok(_) => Err(Failure::Http(format!("`{host}` is no host"))),
            Err(e) => Err(Failure::Http(format!("`{text}` is no URL: {e}"))),
        }
    }

    /// Path and query.
    pub(super) fn path(&self) -> String {
        match self.0.query() {
            Some(query) => format!("{}?{query}", self.0.path()),
            None => self.0.path().to_owned(),
        }
    }

    /// Where `location` leads from here.
    ///
    /// # Errors
    /// When that is another host, port or scheme: it would be judged in the target's place.
    pub(super) fn redirected(&self, location: &str) -> Result<Place, Failure> {
        let to = self.0.join(location).map_err(|e| {
            Failure::Unexpected(format!("redirected to `{location}`, which is no URL: {e}"))
        })?;
        if to.origin() != self.0.origin() {
            return Err(Failure::Unexpected(format!(
                "redirected to {to}, which is not on {}; a probe stays on its target",
                self.0.origin().ascii_serialization()
            )));
        }
        Ok(Place(to))
    }
}

/// The address as a `Host` header: with the port unless it is the scheme's own.
pub(in super::super) fn authority(addr: SocketAddr, tls: bool) -> String {
    let text = addr.to_string();
    let usual = if tls { ":443" } else { ":80" };
    match addr.port() {
        80 | 443 => text.strip_suffix(usual).unwrap_or(&text).to_owned(),
        _ => text,
    }
}

/// Where a redirect points; `None` for any other answer.
pub(super) fn location<B>(response: &Response<B>) -> Option<String> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| redirects)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// Whether the redirected request is a GET without body (RFC 9110 sections 15.4.2 to 15.4.4).
pub(super) fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status {
        StatusCode::SEE_OTHER => method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method == Method::POST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str) -> Place {
        Place::first(true, host, "/a/b?c=d").unwrap()
    }

    #[test]
    fn the_path_keeps_its_query_and_drops_a_fragment() {
        assert_eq!(place("www.example:8443").path(), "/a/b?c=d");
        assert_eq!(
            place("www.example").redirected("/x?y#z").unwrap().path(),
            "/x?y"
        );
        assert_eq!(place("www.example").redirected("x").unwrap().path(), "/a/x");
    }

    #[test]
    fn h8_redirects_stay_on_host_port_and_scheme() {
        let table = [
            ("www.example", "https://www.example/x", true),
            ("www.example", "https://WWW.EXAMPLE:443/x", true),
            ("www.example", "//www.example/x", true),
            ("www.example", "https://other.example/x", false),
            ("www.example", "http://www.example/x", false),
            ("www.example", "https://www.example:8443/x", false),
            ("192.0.2.1:8443", "https://192.0.2.1:8443/x", true),
            ("192.0.2.1:8443", "https://192.0.2.2:8443/x", false),
        ];
        for (host, location, stays) in table {
            assert_eq!(
                place(host).redirected(location).is_ok(),
                stays,
                "{host} {location}"
            );
        }
    }

    #[test]
    fn the_host_of_an_address_has_its_port_unless_usual() {
        let table = [
            ("192.0.2.1:80", false, "192.0.2.1"),
            ("192.0.2.1:80", true, "192.0.2.1:80"),
            ("[2001:db8::1]:443", true, "[2001:db8::1]"),
            ("192.0.2.1:8080", false, "192.0.2.1:8080"),
        ];
        for (addr, tls, host) in table {
            assert_eq!(authority(addr.parse().unwrap(), tls), host);
        }
    }

    #[test]
    fn methods_change_as_rfc_9110_says() {
        let table = [
            (303, Method::POST, true),
            (303, Method::HEAD, false),
            (302, Method::POST, true),
            (301, Method::PUT, false),
            (307, Method::POST, false),
            (308, Method::POST, false),
        ];
        for (status, method, get) in table {
            assert_eq!(
                becomes_get(StatusCode::from_u16(status).unwrap(), &method),
                get,
                "{status} {method}"
            );
        }
    }
}

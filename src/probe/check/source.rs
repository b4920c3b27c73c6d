//! Which of a monitor's source addresses a probe leaves from.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::health::Failure;
use crate::net::Family;

/// The first of `sources` that is of the family of `target` and on this machine, so that one
/// configuration can name an address of every node. `None` when there is none of that family.
///
/// # Errors
/// [`Failure::Unable`] when none of several is on this machine. A single one is not looked for:
/// binding to it tells.
pub(super) fn pick(sources: &[IpAddr], target: IpAddr) -> Result<Option<IpAddr>, Failure> {
    let family = Family::of(target);
    let mut fitting = sources.iter().copied().filter(|s| Family::of(*s) == family);
    let Some(first) = fitting.next() else {
        return Ok(None);
    };
    let others: Vec<IpAddr> = fitting.collect();
    if others.is_empty() {
        return Ok(Some(first));
    }
    let mut all = std::iter::once(first).chain(others.iter().copied());
    let here = |a: &IpAddr| UdpSocket::bind(SocketAddr::new(*a, 0)).is_ok();
    match all.find(here) {
        Some(source) => Ok(Some(source)),
        None => {
            let list: Vec<String> = (std::iter::once(first).chain(others))
                .map(|a| a.to_string())
                .collect();
            Err(Failure::Unable(format!(
                "none of the source addresses {} is on this machine",
                list.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_the_family_that_this_machine_has() {
        let ip = |t: &str| t.parse::<IpAddr>().unwrap();
        let sources = [ip("192.0.2.7"), ip("2001:db8::7"), ip("127.0.0.3")];
        assert_eq!(pick(&sources, ip("127.0.0.1")), Ok(Some(ip("127.0.0.3"))));
        // The only one of its family: binding will tell.
        assert_eq!(pick(&sources, ip("::1")), Ok(Some(ip("2001:db8::7"))));
        assert_eq!(pick(&sources[..1], ip("::1")), Ok(None));
        let failure = pick(&[ip("192.0.2.7"), ip("192.0.2.8")], ip("127.0.0.1"));
        assert_eq!(
            failure.unwrap_err().to_string(),
            "cannot probe: none of the source addresses 192.0.2.7, 192.0.2.8 is on this machine"
        );
    }
}

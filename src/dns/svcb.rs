//! The data of a service binding record, as a server makes it (RFC 9460 section 2.2).

use std::net::{Ipv4Addr, Ipv6Addr};

/// Keys of the parameters (RFC 9460 section 14.3.2) that are written here.
mod key {
    pub(super) const ALPN: u16 = 1;
    pub(super) const NO_DEFAULT_ALPN: u16 = 2;
    pub(super) const PORT: u16 = 3;
    pub(super) const IPV4HINT: u16 = 4;
    pub(super) const IPV6HINT: u16 = 6;
}

/// Octets that the data takes at most: [`Service::new`] keeps its own share, and an answer has at
/// most 32 addresses of each family.
pub const MAX_SERVICE: usize = 1024;

/// Protocol identifiers at most.
pub const MAX_ALPN: usize = 8;

/// Octets of one protocol identifier at most; registered ones have up to 16.
pub const MAX_ALPN_ID: usize = 32;

/// What an HTTPS record in ServiceMode says beside the address hints. Its target is `.`: the owner
/// itself (RFC 9460 section 2.5.2), so that hints and address records speak of one name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Service(Box<[u8]>);

impl Service {
    /// The service of priority 1 to 65,535 with these protocols and port; `port` `None` is that of
    /// the scheme. At most [`MAX_ALPN`] identifiers of 1 to [`MAX_ALPN_ID`] octets.
    pub fn new(
        priority: u16,
        alpn: &[impl AsRef<[u8]>],
        default_alpn: bool,
        port: Option<u16>,
    ) -> Service {
        // SvcPriority and the root as TargetName. Keys ascend (RFC 9460 section 2.2).
        let mut head = priority.to_be_bytes().to_vec();
        head.push(0);
        if !alpn.is_empty() {
            let ids = || alpn.iter().map(AsRef::as_ref).take(MAX_ALPN);
            let len: usize = ids().map(|id| 1 + id.len().min(MAX_ALPN_ID)).sum();
            parameter(&mut head, key::ALPN, len);
            for id in ids() {
                let id = &id[..id.len().min(MAX_ALPN_ID)];
                head.push(id.len() as u8); // at most 32
                head.extend(id);
            }
        }
        if !default_alpn {
            parameter(&mut head, key::NO_DEFAULT_ALPN, 0);
        }
        if let Some(port) = port {
            parameter(&mut head, key::PORT, 2);
            head.extend(port.to_be_bytes());
        }
        Service(head.into())
    }

    /// Writes the data with these hints; an empty list writes none (RFC 9460 section 7.3). Returns
    /// its length, or `None` when `out` is too small, which [`MAX_SERVICE`] octets never are.
    pub fn write(
        &self,
        v4: impl Iterator<Item = Ipv4Addr> + Clone,
        v6: impl Iterator<Item = Ipv6Addr> + Clone,
        out: &mut [u8],
    ) -> Option<usize> {
        let (n4, n6) = (v4.clone().count(), v6.clone().count());
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
            at += bytes.len();
            Some(())
        };
        put(&self.0)?;
        if n4 > 0 {
            put(&prefix(key::IPV4HINT, 4 * n4))?;
            for a in v4 {
                put(&a.octets())?;
            }
        }
        if n6 > 0 {
            put(&prefix(key::IPV6HINT, 16 * n6))?;
            for a in v6 {
                put(&a.octets())?;
            }
        }
        Some(at)
    }
}

/// A parameter's key and length; values here are far shorter than 65,536 octets.
fn prefix(key: u16, len: usize) -> [u8; 4] {
    let (key, len) = (key.to_be_bytes(), (len as u16).to_be_bytes());
    [key[0], key[1], len[0], len[1]]
}

fn parameter(out: &mut Vec<u8>, key: u16, len: usize) {
    out.extend(prefix(key, len));
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::{RData, RecordType};
    use hickory_proto::serialize::binary::{BinDecoder, Restrict};

    /// The data as another library shows it.
    fn shown(bytes: &[u8]) -> String {
        let length = Restrict::new(bytes.len() as u16);
        let data = RData::read(&mut BinDecoder::new(bytes), RecordType::HTTPS, length).unwrap();
        data.to_string()
    }

    #[test]
    fn rfc9460_2_2_parameters_are_read_back() {
        let mut out = [0; MAX_SERVICE];
        let plain = Service::new(1, &[] as &[&str], true, None);
        let n = plain
            .write([].into_iter(), [].into_iter(), &mut out)
            .unwrap();
        assert_eq!(out[..n], [0, 1, 0]);

        let full = Service::new(7, &["h2", "h3"], false, Some(8443));
        let v4 = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
        let v6 = ["2001:db8::1".parse::<Ipv6Addr>().unwrap()];
        let n = full
            .write(v4.into_iter(), v6.into_iter(), &mut out)
            .unwrap();
        assert_eq!(
            shown(&out[..n]),
            "7 . alpn=h2,h3, no-default-alpn= port=8443 ipv4hint=192.0.2.1,192.0.2.2, ipv6hint=2001:db8::1,"
        );
    }

    #[test]
    fn the_longest_data_fits_and_no_less_room_is_asked() {
        let ids = vec!["x".repeat(99); 99];
        let full = Service::new(u16::MAX, &ids, false, Some(1));
        let write = |out: &mut [u8]| {
            let v4 = [Ipv4Addr::LOCALHOST; 32].into_iter();
            full.write(v4, [Ipv6Addr::LOCALHOST; 32].into_iter(), out)
        };
        let mut out = [0; MAX_SERVICE];
        let n = write(&mut out).unwrap();
        assert_eq!(write(&mut out[..n]), Some(n));
        assert_eq!(write(&mut out[..n - 1]), None);
    }
}

//! Where a proxy listens for a VIP: key `p/vip/ADDRESS`, value `VERSION PORTS`: numbers with commas
//! between them, or `-`. Under `p/vip/-` it says that it speaks of VIPs, also when it has none.

use std::net::IpAddr;

use super::Malformed;
use super::chunk::{VERSION, check_version};

/// What keys of this kind begin with.
pub const PREFIX: &str = "p/vip/";

/// The key under which a proxy says that it speaks of VIPs; its value is as that of one without ports.
pub const SPEAKS: &str = "p/vip/-";

/// More ports of one address are not told.
pub const MOST_PORTS: usize = 128;

/// The key of a VIP.
pub fn key(address: IpAddr) -> String {
    format!("{PREFIX}{address}")
}

/// The VIP that a key is about; `None`: it is no such key.
pub fn address_of(key: &str) -> Option<IpAddr> {
    let text = key.strip_prefix(PREFIX)?;
    let address: IpAddr = text.parse().ok()?;
    // One address has one key.
    (address.to_string() == text).then_some(address)
}

/// The ports as they stand on the bus.
pub fn encode(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().take(MOST_PORTS).map(u16::to_string).collect();
    match ports.is_empty() {
        true => format!("{VERSION} -"),
        false => format!("{VERSION} {}", ports.join(",")),
    }
}

/// Reads the ports.
///
/// # Errors
/// When they are none, or of another version.
pub fn decode(text: &str) -> Result<Vec<u16>, Malformed> {
    let mut words = text.split(' ');
    check_version(words.next())?;
    let (Some(ports), None) = (words.next(), words.next()) else {
        return Err(Malformed::Form("ports of a VIP are one word"));
    };
    if ports == "-" {
        return Ok(Vec::new());
    }
    let port = |p: &str| {
        let digits = p.bytes().all(|b| b.is_ascii_digit());
        p.parse().ok().filter(|p: &u16| digits && *p != 0)
    };
    let ports: Option<Vec<u16>> = ports.split(',').take(MOST_PORTS + 1).map(port).collect();
    let ports = ports.filter(|p| p.len() <= MOST_PORTS);
    ports.ok_or(Malformed::Form("these are no ports, or too many"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Key;
    use crate::fleet::push::MAX_PUSHED;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ports_are_read_as_written(ports in prop::collection::vec(1..=u16::MAX, 0..=MOST_PORTS)) {
            let text = encode(&ports);
            prop_assert!(text.len() <= MAX_PUSHED);
            prop_assert_eq!(decode(&text), Ok(ports));
        }

        #[test]
        fn s4_any_text_is_read_or_refused(text in "(1 )?[-,0-9a-z ]{0,200}", key in "(p/vip/)?[:.0-9a-f]{0,50}") {
            let _ = decode(&text);
            if let Some(address) = address_of(&key) {
                prop_assert_eq!(super::key(address), key);
            }
        }
    }

    #[test]
    fn what_is_no_list_of_ports_is_refused() {
        for text in [
            "", "1", "1 ", "1 0", "1 443,", "1 65536", "1 +80", "2 443", "1 443 80",
        ] {
            assert!(decode(text).is_err(), "{text}");
        }
        let many = vec!["1"; MOST_PORTS + 1].join(",");
        assert!(decode(&format!("1 {many}")).is_err());
    }

    #[test]
    fn every_vip_has_a_key() {
        for address in [
            "192.0.2.10",
            "2001:db8::10",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert!(Key::new(&key(address)).is_ok());
            assert_eq!(address_of(&key(address)), Some(address));
        }
        assert_eq!(
            address_of("p/vip/2001:0db8::10"),
            None,
            "not as it is written"
        );
        assert_eq!(address_of("p/other"), None);
    }
}

//! A MaxMind-format database.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tradewind::geo::Database;

/// The file.
pub fn check(data: &[u8]) {
    match Database::read(data.to_vec()) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(database) => {
            for addr in [
                IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
                IpAddr::V4(Ipv4Addr::BROADCAST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::from(u128::MAX)),
            ] {
                let (_, prefix) = database.lookup(addr);
                assert!(prefix.contains(addr));
            }
        }
    }
}

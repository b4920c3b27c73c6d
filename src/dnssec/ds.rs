//! DS records (RFC 4034 section 5) of DNSKEY records.

use std::fmt::Write;

use hickory_proto::dnssec::DigestType;
use hickory_proto::dnssec::crypto::Digest;

use super::key::key_tag;
use crate::dns::name::WireName;

/// Digest type SHA-256 (RFC 4509): the one that every validator must know (RFC 8624 section 3.3).
pub const SHA_256: u8 = 2;

/// RDATA of the DS record, which is that of the CDS record too (RFC 7344 section 3.1), with a
/// SHA-256 digest.
pub fn ds_rdata(apex: &WireName, dnskey: &[u8]) -> Box<[u8]> {
    // digest = digest_algorithm(DNSKEY owner name | DNSKEY RDATA) (RFC 4034 section 5.1.4); the
    // owner name is in canonical form, as a WireName is.
    let mut text = apex.as_bytes().to_vec();
    text.extend_from_slice(dnskey);
    let mut rdata = Vec::with_capacity(36);
    rdata.extend(key_tag(dnskey).to_be_bytes());
    rdata.extend([dnskey.get(3).copied().unwrap_or(0), SHA_256]);
    // Fails for unknown digest types only.
    if let Ok(digest) = Digest::new(&text, DigestType::SHA256) {
        rdata.extend_from_slice(digest.as_ref());
    }
    rdata.into()
}

/// A DS or CDS RDATA in presentation form (RFC 4034 section 5.3).
pub fn ds_text(rdata: &[u8]) -> String {
    let [t1, t2, algorithm, kind, digest @ ..] = rdata else {
        return String::new();
    };
    let mut text = format!("{} {algorithm} {kind} ", u16::from_be_bytes([*t1, *t2]));
    for octet in digest {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 4509 section 2.3.
    #[test]
    fn rfc4509_section_2_3() {
        let public = "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99W\
                      YwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DM\
                      BmADjFDc2w/rljwvFw==";
        let key = data_encoding::BASE64.decode(public.as_bytes()).unwrap();
        let mut dnskey = vec![1, 0, 3, 5];
        dnskey.extend(key);
        let ds = ds_rdata(&"dskey.example.com".parse().unwrap(), &dnskey);
        assert_eq!(
            ds_text(&ds),
            "60485 5 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A"
        );
    }
}

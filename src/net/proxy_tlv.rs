//! The type-length-value part of PROXY protocol version 2 (`proxy-protocol.txt`, section 2.2.1 on): the
//! checksum, the name that the client asked for, and what the proxy in front learnt from TLS.

/// `PP2_TYPE_AUTHORITY`, section 2.2.2.
const AUTHORITY: u8 = 0x02;
/// `PP2_TYPE_CRC32C`, section 2.2.3.
const CRC32C: u8 = 0x03;
/// `PP2_TYPE_SSL`, section 2.2.6.
const SSL: u8 = 0x20;
/// `PP2_SUBTYPE_SSL_VERSION`.
const SSL_VERSION: u8 = 0x21;
/// `PP2_SUBTYPE_SSL_CN`.
const SSL_CN: u8 = 0x22;
/// `PP2_CLIENT_SSL`: "the client connected over SSL/TLS".
const CLIENT_SSL: u8 = 0x01;
/// `PP2_CLIENT_CERT_CONN | PP2_CLIENT_CERT_SESS`: it showed a certificate.
const CLIENT_CERT: u8 = 0x02 | 0x04;

/// Type and length.
const HEAD: usize = 3;

/// What a proxy says beside the addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// The host that the client asked for (SNI), where it is UTF-8.
    pub authority: Option<Box<str>>,
    /// What the client's TLS was like; `None`: it did not use any, or the proxy does not say.
    pub tls: Option<FrontTls>,
}

/// TLS between the client and the proxy in front.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FrontTls {
    /// Such as `TLSv1.3`.
    pub version: Option<Box<str>>,
    /// The common name of the client's certificate, where it showed one that was verified.
    pub verified_name: Option<Box<str>>,
}

/// Why the part is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlvError {
    /// A length that reaches beyond the header, or a value too short for its type.
    Torn,
    /// The checksum is not that of the header.
    Checksum,
}

/// Reads the part. `header` is the whole of the header, of which the part begins at `at`.
///
/// # Errors
/// [`TlvError`]; unknown types are skipped.
pub fn read(header: &[u8], at: usize) -> Result<Facts, TlvError> {
    let mut facts = Facts::default();
    let mut from = at;
    while from < header.len() {
        let (kind, value) = one(&header[from..]).ok_or(TlvError::Torn)?;
        let start = from + HEAD;
        match kind {
            CRC32C => {
                let said = <[u8; 4]>::try_from(value).map_err(|_| TlvError::Torn)?;
                // "the checksum … is calculated over the whole PROXY header with the checksum field
                // set to all zeros".
                let sum = Crc32c::default()
                    .over(&header[..start])
                    .over(&[0; 4])
                    .over(&header[start + 4..]);
                if sum.value() != u32::from_be_bytes(said) {
                    return Err(TlvError::Checksum);
                }
            }
            AUTHORITY => facts.authority = text(value),
            SSL => facts.tls = ssl(value)?,
            _ => {}
        }
        from = start + value.len();
    }
    Ok(facts)
}

/// The first of several.
fn one(octets: &[u8]) -> Option<(u8, &[u8])> {
    let (head, rest) = octets.split_first_chunk::<HEAD>()?;
    let len = usize::from(u16::from_be_bytes([head[1], head[2]]));
    Some((head[0], rest.get(..len)?))
}

/// `client` (1), `verify` (4), then values of their own.
fn ssl(value: &[u8]) -> Result<Option<FrontTls>, TlvError> {
    let (fixed, mut rest) = value.split_first_chunk::<5>().ok_or(TlvError::Torn)?;
    let is_verified = fixed[1..] == [0; 4] && fixed[0] & CLIENT_CERT != 0;
    let mut found = FrontTls::default();
    while !rest.is_empty() {
        let (kind, value) = one(rest).ok_or(TlvError::Torn)?;
        match kind {
            SSL_VERSION => found.version = text(value),
            // "… the verify field … will be zero if the client presented a certificate and it was
            // successfully verified".
            SSL_CN if is_verified => found.verified_name = text(value),
            _ => {}
        }
        rest = &rest[HEAD + value.len()..];
    }
    Ok((fixed[0] & CLIENT_SSL != 0).then_some(found))
}

/// Octets of the longest text that is taken: that of a host name.
const LONGEST_TEXT: usize = 255;

/// Text that may stand in a log or a header field.
fn text(value: &[u8]) -> Option<Box<str>> {
    let text = std::str::from_utf8(value).ok()?;
    let is_plain = (1..=LONGEST_TEXT).contains(&value.len()) && !text.contains(char::is_control);
    is_plain.then(|| text.into())
}

/// CRC-32C (Castagnoli), as of RFC 3720 section 12.1.
#[derive(Clone, Copy, Debug)]
struct Crc32c(u32);

impl Default for Crc32c {
    fn default() -> Crc32c {
        Crc32c(!0)
    }
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut value = at as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (0x82F6_3B78 * (value & 1));
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

impl Crc32c {
    fn over(mut self, octets: &[u8]) -> Crc32c {
        for octet in octets {
            let at = (self.0 ^ u32::from(*octet)) & 0xFF;
            self.0 = (self.0 >> 8) ^ TABLE[at as usize];
        }
        self
    }

    fn value(self) -> u32 {
        !self.0
    }
}

/// Appends one value.
fn push(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    let value = &value[..value.len().min(LONGEST_TEXT)];
    out.push(kind);
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(value);
}

/// Appends what there is to say beside the addresses.
pub fn write(facts: &Facts, out: &mut Vec<u8>) {
    if let Some(name) = &facts.authority {
        push(AUTHORITY, name.as_bytes(), out);
    }
    if let Some(tls) = &facts.tls {
        let has_cert = tls.verified_name.is_some();
        let mut value = vec![CLIENT_SSL | if has_cert { CLIENT_CERT } else { 0 }];
        // "verify … zero if the client presented a certificate and it was successfully verified, and
        // non-zero otherwise".
        value.extend_from_slice(&u32::from(!has_cert).to_be_bytes());
        if let Some(version) = &tls.version {
            push(SSL_VERSION, version.as_bytes(), &mut value);
        }
        if let Some(name) = &tls.verified_name {
            push(SSL_CN, name.as_bytes(), &mut value);
        }
        out.push(SSL);
        out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(&value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3720_b_4_checksums() {
        let of = |octets: &[u8]| Crc32c::default().over(octets).value();
        assert_eq!(of(&[0; 32]), 0x8A91_36AA);
        assert_eq!(of(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(of(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn section_2_2_3_a_checksum_is_verified_where_it_stands() {
        let mut header = b"anything before".to_vec();
        let at = header.len();
        header.extend_from_slice(&[0xEE, 0, 1, 7, CRC32C, 0, 4, 0, 0, 0, 0, 0xEF, 0, 0]);
        let sum = Crc32c::default().over(&header).value();
        let place = at + 4 + HEAD;
        header[place..place + 4].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(read(&header, at), Ok(Facts::default()));
        header[0] ^= 1;
        assert_eq!(read(&header, at), Err(TlvError::Checksum));
    }

    #[test]
    fn section_2_2_1_what_reaches_beyond_the_header_is_refused() {
        for torn in [
            &[0xEE][..],
            &[0xEE, 0],
            &[0xEE, 0, 1],
            &[0xEE, 0x40, 0, b'a'],
            &[CRC32C, 0, 3, 0, 0, 0],
            &[SSL, 0, 4, 1, 0, 0, 0],
            &[SSL, 0, 8, 1, 0, 0, 0, 0, SSL_CN, 0, 9],
        ] {
            assert_eq!(read(torn, 0), Err(TlvError::Torn), "{torn:?}");
        }
    }

    #[test]
    fn sections_2_2_2_and_2_2_6_facts_come_over_as_they_were_written() {
        let facts = Facts {
            authority: Some("www.example.com".into()),
            tls: Some(FrontTls {
                version: Some("TLSv1.3".into()),
                verified_name: Some("client one".into()),
            }),
        };
        let mut octets = Vec::new();
        write(&facts, &mut octets);
        assert_eq!(read(&octets, 0), Ok(facts));
    }

    #[test]
    fn a_name_counts_only_when_the_proxy_verified_it() {
        let name = [SSL_CN, 0, 1, b'x'];
        for (client, verify, want) in [(3_u8, 0_u32, true), (3, 1, false), (1, 0, false)] {
            let mut value = vec![SSL, 0, 9, client];
            value.extend_from_slice(&verify.to_be_bytes());
            value.extend_from_slice(&name);
            let tls = read(&value, 0).unwrap().tls.unwrap();
            assert_eq!(tls.verified_name.is_some(), want);
        }
        let plain = [SSL, 0, 5, 0, 0, 0, 0, 0];
        assert_eq!(read(&plain, 0).unwrap().tls, None);
        let evil = [AUTHORITY, 0, 3, b'a', b'\n', b'b'];
        assert_eq!(read(&evil, 0).unwrap().authority, None);
    }
}

//! Class CH: which server is this? Names that BIND introduced and RFC 4892 describes.

use crate::dns::message::Full;
use crate::dns::{Owner, Section, rtype};
use crate::snapshot::View;
use crate::units::Ttl;

use super::respond::Response;

/// Class CH (RFC 1035 section 3.2.4).
pub(super) const CH: u16 = 3;

/// Answers `qname` (lower-cased) of class CH; `false` where nothing is said of it.
pub(super) fn answer(view: &View, qname: &[u8], qtype: u16, r: &mut Response<'_, '_>) -> bool {
    let texts = &view.snapshot.settings.chaos;
    let text = match qname {
        b"\x07version\x04bind\0" | b"\x07version\x06server\0" => &texts.version,
        b"\x02id\x06server\0" | b"\x08hostname\x04bind\0" => &texts.id,
        _ => return false,
    };
    if text.is_empty() {
        return false;
    }
    r.authoritative = true;
    if (qtype == rtype::TXT || qtype == rtype::ANY) && txt(text, r).is_err() {
        r.overflow();
    }
    true
}

/// One TXT record of one string. TTL 0: it speaks of the server that was asked, and the next one may
/// be another (RFC 4892 section 3).
fn txt(text: &str, r: &mut Response<'_, '_>) -> Result<(), Full> {
    let mut rdata = [0; 256];
    let octets = &text.as_bytes()[..text.len().min(255)];
    rdata[0] = octets.len() as u8; // at most 255, cut above
    rdata[1..=octets.len()].copy_from_slice(octets);
    let rdata = &rdata[..=octets.len()];
    r.record_of_class(
        Section::Answer,
        Owner::Question,
        rtype::TXT,
        CH,
        Ttl::ZERO,
        rdata,
    )
}

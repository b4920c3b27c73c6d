//! `redirect-to-https`: who comes without TLS is sent to where there is TLS.

use crate::message::RequestHead;
use crate::traffic::fields::write_number;

/// Sends clients without TLS to the same place with TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SecureRedirect {
    /// The port of the listener with TLS, as clients see it.
    pub port: u16,
    /// 301, 302, 307 or 308.
    pub status: u16,
}

impl SecureRedirect {
    /// Appends the `Location`. Without a host there is nowhere to send the client to: `false`.
    pub fn location(&self, head: &RequestHead, out: &mut Vec<u8>) -> bool {
        let host = head.host();
        if host.is_empty() || !head.target.starts_with(b"/") {
            return false;
        }
        out.extend_from_slice(b"https://");
        out.extend_from_slice(host);
        if self.port != 443 {
            out.push(b':');
            write_number(u32::from(self.port), out);
        }
        out.extend_from_slice(&head.target);
        true
    }
}

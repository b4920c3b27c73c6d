//! Labels of names, as DNSSEC counts and orders them.

use crate::dns::name::MAX_NAME;

/// Number of labels for the RRSIG's Labels field: RFC 4034 section 3.1.3 counts neither the root
/// nor "the leftmost label if it is a wildcard".
pub fn count_for_rrsig(name: &[u8]) -> u8 {
    let (mut rest, mut count) = (name, 0u8);
    while let Some((&len, tail)) = rest.split_first()
        && len > 0
    {
        count += 1; // at most 127 in 255 octets
        rest = tail.get(usize::from(len)..).unwrap_or_default();
    }
    count - u8::from(name.starts_with(b"\x01*"))
}

/// A name on the stack.
#[derive(Clone, Copy, Debug)]
pub struct StackName {
    bytes: [u8; MAX_NAME],
    len: usize,
}

impl StackName {
    /// The labels in front of a name; `None` when the result is too long.
    pub fn join(label: &[u8], name: &[u8]) -> Option<StackName> {
        let len = 1 + label.len() + name.len();
        if label.len() > 63 || len > MAX_NAME {
            return None;
        }
        let mut bytes = [0; MAX_NAME];
        bytes[0] = label.len() as u8; // at most 63
        bytes[1..=label.len()].copy_from_slice(label);
        bytes[1 + label.len()..len].copy_from_slice(name);
        Some(StackName { bytes, len })
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The name that follows `name` (at or below `apex`) immediately in canonical order (RFC 4034
/// section 6.1), by the absolute method of RFC 4471 section 3.1.1: `\000.name` where that fits.
pub fn successor(name: &[u8], apex: &[u8]) -> StackName {
    if let Some(next) = StackName::join(b"\0", name) {
        return next;
    }
    let mut rest = name;
    while rest.len() > apex.len() {
        let len = usize::from(rest[0]);
        let (label, tail) = (&rest[1..=len], &rest[1 + len..]);
        // A zero octet more at the end of the first label comes next, where there is room for it.
        let mut longer = [0; 64];
        longer[..len].copy_from_slice(label);
        if let Some(next) = StackName::join(&longer[..=len], tail) {
            return next;
        }
        // Else the label with its last octet counted up; capitals do not exist in canonical form.
        if let Some(last) = label.iter().rposition(|o| *o != 0xFF) {
            let mut up = longer;
            up[last] = match label[last] + 1 {
                b'A' => b'[',
                octet => octet,
            };
            if let Some(next) = StackName::join(&up[..=last], tail) {
                return next;
            }
        }
        rest = tail;
    }
    // Nothing in the zone comes later: the chain closes at the apex (RFC 4034 section 4.1.1).
    let mut bytes = [0; MAX_NAME];
    bytes[..apex.len()].copy_from_slice(apex);
    StackName {
        bytes,
        len: apex.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::WireName;

    #[test]
    fn rfc4034_3_1_3_labels() {
        for (name, count) in [
            (".", 0),
            ("a.b", 2),
            ("*.b", 1),
            ("x.*.b", 3),
            ("*", 0),
            ("*a.b", 2),
        ] {
            let name: WireName = name.parse().unwrap();
            assert_eq!(count_for_rrsig(name.as_bytes()), count, "{name}");
        }
    }

    #[test]
    fn rfc4471_3_1_1_successor() {
        let n = |s: &str| s.parse::<WireName>().unwrap();
        let apex = n("z");
        let next = |s: &WireName| {
            WireName::from_wire(successor(s.as_bytes(), apex.as_bytes()).as_bytes()).unwrap()
        };
        assert_eq!(next(&n("a.z")), n("\\000.a.z"));
        // 254 octets: no room for a label, but for an octet in the first one.
        let tail = format!("{0}.{0}.{0}.z", "x".repeat(63)); // 195 octets
        let first = n(&format!("{}.{tail}", "y".repeat(58)));
        assert_eq!(first.as_bytes().len(), 254);
        assert_eq!(next(&first), n(&format!("{}\\000.{tail}", "y".repeat(58))));
        // 255 octets: the last octet of the first label that can go up does.
        let full = n(&format!("{}@.{tail}", "y".repeat(58)));
        assert_eq!(full.as_bytes().len(), 255);
        assert_eq!(next(&full), n(&format!("{}[.{tail}", "y".repeat(58))));
        let carry = n(&format!("{}\\255.{tail}", "y".repeat(58)));
        assert_eq!(next(&carry), n(&format!("{}z.{tail}", "y".repeat(57))));
    }
}

//! W3C Trace Context, level 1: what stands in `traceparent` and `tracestate`.

/// Members of a `tracestate` at most (section 3.3.1.1).
const MEMBERS: usize = 32;

/// The content of a `traceparent`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceParent {
    /// The trace; not 0.
    pub trace: u128,
    /// The caller's span within it; not 0.
    pub parent: u64,
    /// Whether the caller records it.
    pub sampled: bool,
}

impl TraceParent {
    /// Reads a `traceparent` (section 3.2.2): lower-case hexadecimal, no id of zeros. A higher version
    /// than 00 may say more after what is read here.
    pub fn parse(text: &[u8]) -> Option<TraceParent> {
        let head = text.get(..55)?;
        if [head[2], head[35], head[52]] != [b'-'; 3] {
            return None;
        }
        let version = number(&head[..2])?;
        let whole = match version {
            0xff => false,
            0 => text.len() == 55,
            _ => text.len() == 55 || text[55] == b'-',
        };
        let trace = number(&head[3..35])?;
        let parent = number(&head[36..52])? as u64;
        let flags = number(&head[53..])?;
        (whole && trace != 0 && parent != 0).then_some(TraceParent {
            trace,
            parent,
            sampled: flags & 1 != 0,
        })
    }

    /// As a field's value, in version 00.
    pub fn text(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        hex(self.trace, &mut text[3..35]);
        hex(u128::from(self.parent), &mut text[36..52]);
        text[54] = b'0' + u8::from(self.sampled);
        text
    }
}

fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |n, d| {
        let value = match d {
            b'0'..=b'9' => d - b'0',
            b'a'..=b'f' => d - b'a' + 10,
            _ => return None,
        };
        Some(n << 4 | u128::from(value))
    })
}

/// The last digits of `n`, as many as there is room for.
fn hex(n: u128, into: &mut [u8]) {
    for (i, digit) in into.iter_mut().rev().enumerate() {
        let nibble = (n >> (4 * i)) as usize & 15;
        *digit = b"0123456789abcdef"[nibble];
    }
}

/// Whether the fields `tracestate` of one request, in their order, are a list of members as section 3.3.1
/// has them: at most 32 in all; empty ones are no members.
pub fn is_trace_state<'f>(fields: impl IntoIterator<Item = &'f [u8]>) -> bool {
    let mut members = fields
        .into_iter()
        .flat_map(|field| field.split(|b| *b == b','))
        .map(|member| {
            let start = member.iter().position(|b| !is_space(*b));
            &member[start.unwrap_or(member.len())..]
        })
        .filter(|member| !member.is_empty());
    let good = members.by_ref().take(MEMBERS).all(is_member);
    good && members.next().is_none()
}

/// `OWS` (RFC 9110 section 5.6.3).
fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|b| *b == b'=') else {
        return false;
    };
    // White space behind the value is the list's, not the value's.
    let value = &member[equals + 1..];
    let end = value.iter().rposition(|b| !is_space(*b));
    end.is_some_and(|end| is_key(&member[..equals]) && is_value(&value[..=end]))
}

/// `lcalpha 0*255( lcalpha / DIGIT / "_" / "-"/ "*" / "/" )`, or a tenant, `@` and a system.
fn is_key(key: &[u8]) -> bool {
    let inner = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
    let part = |part: &[u8], digit_first: bool, most: usize| match part {
        [first, rest @ ..] => {
            let first = first.is_ascii_lowercase() || digit_first && first.is_ascii_digit();
            first && rest.len() < most && rest.iter().all(inner)
        }
        [] => false,
    };
    match key.iter().position(|b| *b == b'@') {
        Some(at) => part(&key[..at], true, 241) && part(&key[at + 1..], false, 14),
        None => part(key, false, 256),
    }
}

/// `0*255(chr) nblk-chr`: printable ASCII without comma and equals sign, no blank at the end.
fn is_value(value: &[u8]) -> bool {
    let printable = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b',' | b'=');
    value.len() <= 256 && value.iter().all(printable) && value.last().is_some_and(|b| *b != b' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(text: &str) -> Option<TraceParent> {
        TraceParent::parse(text.as_bytes())
    }

    #[test]
    fn a_trace_parent_is_read_as_it_is_written() {
        let parent = read(GOOD).unwrap();
        assert_eq!(parent.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(parent.parent, 0x00f0_67aa_0ba9_02b7);
        assert!(parent.sampled && !read(&GOOD.replace("-01", "-00")).unwrap().sampled);
        assert!(read(&GOOD.replace("-01", "-ff")).unwrap().sampled);
        // What a later version adds is nothing to us.
        assert!(read(&(GOOD.replacen("00", "cc", 1) + "-more")).is_some());
        assert!(read(&(GOOD.replacen("00", "cc", 1) + "-")).is_some());
    }

    #[test]
    fn what_is_no_trace_parent_is_none() {
        for bad in [
            String::new(),
            GOOD.to_uppercase(),
            GOOD.replace("-01", ""),
            GOOD.replace("-01", "-0"),
            GOOD.replace("-01", "-0x"),
            GOOD.replacen("00", "ff", 1),
            GOOD.replacen("00", "0", 1),
            GOOD.replacen('-', "_", 1),
            format!("{GOOD}-more"),
            format!("{GOOD}."),
            format!(" {GOOD}"),
            GOOD.replacen("00", "cc", 1) + "more",
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("4bf9", "4bé9"),
            GOOD.replace("4bf9", "4Bf9"),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }

    fn state(fields: &[&str]) -> bool {
        is_trace_state(fields.iter().map(|f| f.as_bytes()))
    }

    #[test]
    fn a_trace_state_is_a_list_of_members() {
        let many = |n: usize| (0..n).map(|i| format!("k{i}=v,")).collect::<String>();
        for good in [
            &["a=1"][..],
            &["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"],
            &["a=1", "b=2"],
            &["a=1,,b=2, ,\tc=3 "],
            &[""],
            &["fw529a3039@dt=FfAA,0tenant@sys=x"],
            &["a_-*/9= x!~"],
            &[&format!("{}=1", "a".repeat(256))],
            &[&format!("a={}", "1".repeat(256))],
            &[&format!("{}@{}=1", "t".repeat(241), "s".repeat(14))],
            &[&many(32)],
        ] {
            assert!(state(good), "{good:?}");
        }
        for bad in [
            &["a"][..],
            &["=1"],
            &["a="],
            &["a= "],
            &["A=1"],
            &["1a=1"],
            &["a =1"],
            &["a=1=2"],
            &["a=\u{e9}"],
            &["a=1\u{1}"],
            &["a@=1"],
            &["@b=1"],
            &["a@b@c=1"],
            &["a@1=1"],
            &["a=1", "nonsense"],
            &[&format!("{}=1", "a".repeat(257))],
            &[&format!("a={}", "1".repeat(257))],
            &[&format!("{}@s=1", "t".repeat(242))],
            &[&format!("t@{}=1", "s".repeat(15))],
            &[&many(33)],
            &[&many(32), "a=1"],
        ] {
            assert!(!state(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_trace_parent_survives(trace in 1u128.., parent in 1u64.., sampled in any::<bool>()) {
            let it = TraceParent { trace, parent, sampled };
            prop_assert_eq!(TraceParent::parse(&it.text()), Some(it));
        }

        /// What is read has the form of section 3.2, checked in another way; and nothing else is read.
        #[test]
        fn what_is_read_is_what_the_specification_allows(
            text in "(00|01|ff|0g)[-_][0-9a-f]{30}(00|ab|Ab)-[0-9a-f]{15}[0-9a-fF]-0[0-9](-x|x)?"
        ) {
            let parts: Vec<&str> = text.split('-').collect();
            let hex = |part: &str, len| {
                part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            };
            let extra = parts.len() > 4;
            let good = parts.len() >= 4
                && hex(parts[0], 2)
                && parts[0] != "ff"
                && hex(parts[1], 32)
                && parts[1].bytes().any(|b| b != b'0')
                && hex(parts[2], 16)
                && parts[2].bytes().any(|b| b != b'0')
                && hex(parts[3], 2)
                && (parts[0] != "00" || !extra);
            prop_assert_eq!(read(&text).is_some(), good, "{}", text);
        }

        #[test]
        fn reading_anything_never_panics(text in any::<Vec<u8>>(), more in any::<Vec<u8>>()) {
            if let Some(parent) = TraceParent::parse(&text) {
                prop_assert_eq!(TraceParent::parse(&parent.text()), Some(parent));
            }
            let _ = is_trace_state([&text[..], &more[..]]);
        }

        /// Members of the right form make a list, however they are spread over fields.
        #[test]
        fn any_list_of_good_members_is_one(
            members in prop::collection::vec("[a-z][a-z0-9_*/-]{0,20}(@[a-z][a-z0-9]{0,5})?=[!-+--<>-~]{1,20}", 0..33),
            at in 0usize..33,
        ) {
            let (one, other) = members.split_at(at.min(members.len()));
            let good = members.iter().all(|m| {
                let key = m.split('=').next().unwrap_or_default();
                key.split('@').next().unwrap_or_default().len() <= 241
            });
            prop_assert_eq!(state(&[&one.join(","), &other.join(" , ")]), good);
        }
    }
}

//! Octets written as text: what a monitor sends and wants to hear.

use super::value::Fault;

/// The octets of `text`, of which there may be at most `most`: letters stand for their UTF-8, the
/// escapes `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` for one octet each.
pub(super) fn octets(text: &str, most: usize) -> Result<Box<[u8]>, Fault> {
    let mut octets = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            octets.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        octets.push(match letters.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let mut digit = || letters.next().and_then(|d| d.to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Err(unknown(r"\x without two hexadecimal digits")),
                }
            }
            Some(other) => return Err(unknown(&format!("`\\{other}`"))),
            None => return Err(unknown("a `\\` at its end")),
        });
    }
    if octets.is_empty() {
        return Err(Fault::new("is empty"));
    }
    if octets.len() > most {
        let count = octets.len();
        return Err(Fault::new(format!(
            "has {count} octets; the largest allowed number is {most}"
        )));
    }
    Ok(octets.into())
}

fn unknown(what: &str) -> Fault {
    Fault::new(format!("has {what}, which is not an escape")).help(
        r"the escapes are `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH`; write them within single quotes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_stand_for_octets() {
        let read = |text: &str| octets(text, 100).unwrap().into_vec();
        assert_eq!(
            read(r"a\r\n\t\0\\\xfF\x00é"),
            b"a\r\n\t\0\\\xFF\x00\xC3\xA9"
        );
        for (text, words) in [
            (r"\q", r"has `\q`, which is not an escape"),
            (
                r"\x4",
                r"has \x without two hexadecimal digits, which is not an escape",
            ),
            ("a\\", r"has a `\` at its end, which is not an escape"),
            ("", "is empty"),
        ] {
            assert_eq!(octets(text, 100).unwrap_err().text, words);
        }
        assert!(octets(r"\x00\x00", 2).is_ok());
        let fault = octets(r"\x00\x00a", 2).unwrap_err();
        assert_eq!(fault.text, "has 3 octets; the largest allowed number is 2");
    }

    proptest! {
        #[test]
        fn every_octet_can_be_written(want in proptest::collection::vec(any::<u8>(), 1..50)) {
            let text: String = want.iter().map(|o| format!("\\x{o:02x}")).collect();
            prop_assert_eq!(octets(&text, 50).unwrap().into_vec(), want);
        }
    }
}

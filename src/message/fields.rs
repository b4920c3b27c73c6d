//! The fields of a message, in order, in one piece of memory that is used again.

use super::name::{Known, Name};

/// One field: where its parts lie in the text.
#[derive(Clone, Copy, Debug)]
struct Line {
    known: Option<Known>,
    name_at: u32,
    name_len: u16,
    value_len: u32,
    value_at: u32,
}

/// Header or trailer fields (RFC 9110 section 5), in the order they came. Names are in lower case.
///
/// Removing and replacing leaves unused octets behind, which [`Fields::clear`] gives back; a message's
/// life is short.
#[derive(Clone, Default)]
pub struct Fields {
    text: Vec<u8>,
    lines: Vec<Line>,
    /// Which known names occur: most questions are about a field that is absent.
    present: u64,
}

impl Fields {
    /// No fields.
    pub fn new() -> Fields {
        Fields::default()
    }

    /// Forgets the fields and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
        self.present = 0;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Octets of names and values, with 4 per field for `: ` and the end of line.
    pub fn octets(&self) -> usize {
        let of = |l: &Line| usize::from(l.name_len) + l.value_len as usize + 4;
        self.lines.iter().map(of).sum()
    }

    /// Appends a field. The name may be in any case and must be a token of at most 65,535 octets; the
    /// value must hold no CR, LF or NUL: who parsed or configured it has seen to that.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        debug_assert!(!value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
        let name_at = self.text.len();
        self.text.extend(name.iter().map(u8::to_ascii_lowercase));
        let known = Known::from_lower(&self.text[name_at..]);
        if known.is_some() {
            self.text.truncate(name_at);
        }
        self.append(known, name_at, name.len(), value);
    }

    /// Appends a field.
    pub fn push_named(&mut self, name: &Name, value: &[u8]) {
        match name {
            Name::Known(known) => self.push_known(*known, value),
            Name::Other(text) => {
                let name_at = self.text.len();
                self.text.extend_from_slice(text);
                self.append(None, name_at, text.len(), value);
            }
        }
    }

    /// Appends a field.
    pub fn push_known(&mut self, known: Known, value: &[u8]) {
        let at = self.text.len();
        self.append(Some(known), at, 0, value);
    }

    fn append(&mut self, known: Option<Known>, name_at: usize, name_len: usize, value: &[u8]) {
        let value_at = self.text.len();
        self.text.extend_from_slice(value);
        if let Some(known) = known {
            self.present |= known.bit();
        }
        let name_len = known.map_or(name_len, |k| k.as_str().len());
        self.lines.push(Line {
            known,
            name_at: name_at as u32,
            name_len: name_len as u16,
            value_at: value_at as u32,
            value_len: value.len() as u32,
        });
    }

    fn name_of<'a>(&'a self, line: &Line) -> &'a [u8] {
        match line.known {
            Some(known) => known.as_str().as_bytes(),
            None => &self.text[line.name_at as usize..][..usize::from(line.name_len)],
        }
    }

    fn value_of<'a>(&'a self, line: &Line) -> &'a [u8] {
        &self.text[line.value_at as usize..][..line.value_len as usize]
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines
            .iter()
            .map(|l| (self.name_of(l), self.value_of(l)))
    }

    /// As [`Fields::iter`], with the number of a known name.
    pub fn iter_known(&self) -> impl Iterator<Item = (Option<Known>, &[u8], &[u8])> {
        self.lines
            .iter()
            .map(|l| (l.known, self.name_of(l), self.value_of(l)))
    }

    /// Whether such a field occurs.
    pub fn has(&self, known: Known) -> bool {
        self.present & known.bit() != 0
    }

    /// The first field of this name.
    pub fn get(&self, known: Known) -> Option<&[u8]> {
        if !self.has(known) {
            return None;
        }
        self.all(known).next()
    }

    /// All fields of this name, in order.
    pub fn all(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.lines
            .iter()
            .filter(move |l| l.known == Some(known))
            .map(|l| self.value_of(l))
    }

    /// The first field of this name.
    pub fn get_named(&self, name: &Name) -> Option<&[u8]> {
        match name {
            Name::Known(known) => self.get(*known),
            Name::Other(_) => {
                let line = self.lines.iter().find(|l| self.is(l, name))?;
                Some(self.value_of(line))
            }
        }
    }

    /// All fields of this name, in order.
    pub fn all_named<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a [u8]> {
        self.lines
            .iter()
            .filter(move |l| self.is(l, name))
            .map(|l| self.value_of(l))
    }

    fn is(&self, line: &Line, name: &Name) -> bool {
        match name {
            Name::Known(known) => line.known == Some(*known),
            Name::Other(text) => line.known.is_none() && self.name_of(line) == &**text,
        }
    }

    /// Removes all fields of this name; whether there were any.
    pub fn remove(&mut self, known: Known) -> bool {
        if !self.has(known) {
            return false;
        }
        self.lines.retain(|l| l.known != Some(known));
        self.present &= !known.bit();
        true
    }

    /// Removes all fields of this name; whether there were any.
    pub fn remove_named(&mut self, name: &Name) -> bool {
        match name {
            Name::Known(known) => self.remove(*known),
            Name::Other(text) => {
                let before = self.lines.len();
                let all = &self.text;
                self.lines.retain(|l| {
                    l.known.is_some()
                        || all[l.name_at as usize..][..usize::from(l.name_len)] != **text
                });
                self.lines.len() < before
            }
        }
    }

    /// Removes fields with an `_` in their name for which `is_one` is true of the name with `-` in its
    /// place. Servers that hand fields on as CGI does (RFC 3875 section 4.1.18) cannot tell the two apart,
    /// so who may not say `x-a` may not say `x_a` either.
    pub fn remove_lookalikes(&mut self, is_one: impl Fn(&[u8]) -> bool) {
        let text = &self.text;
        self.lines.retain(|l| {
            // No known name has one.
            if l.known.is_some() {
                return true;
            }
            let name = &text[l.name_at as usize..][..usize::from(l.name_len)];
            if !name.contains(&b'_') {
                return true;
            }
            let dashed: Vec<u8> = name
                .iter()
                .map(|b| if *b == b'_' { b'-' } else { *b })
                .collect();
            !is_one(&dashed)
        });
    }

    /// Keeps the fields for which `keep` is true of name and value.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let text = &self.text;
        self.lines.retain(|l| {
            let name = match l.known {
                Some(known) => known.as_str().as_bytes(),
                None => &text[l.name_at as usize..][..usize::from(l.name_len)],
            };
            keep(name, &text[l.value_at as usize..][..l.value_len as usize])
        });
        let known = self.lines.iter().filter_map(|l| l.known);
        self.present = known.fold(0, |set, k| set | k.bit());
    }

    /// Makes this the only field of the name.
    pub fn set(&mut self, known: Known, value: &[u8]) {
        self.remove(known);
        self.push_known(known, value);
    }

    /// Makes this the only field of the name.
    pub fn set_named(&mut self, name: &Name, value: &[u8]) {
        self.remove_named(name);
        self.push_named(name, value);
    }

    /// The members of a list-based field (RFC 9110 section 5.6.1), without the white space around them
    /// and without empty ones, over all lines of the field.
    pub fn members(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.all(known)
            .flat_map(|value| value.split(|b| *b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|m| !m.is_empty())
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.iter().map(|(name, value)| {
            let text = String::from_utf8_lossy;
            (text(name), text(value))
        });
        f.debug_list().entries(shown).finish()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Fields) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in pairs {
            fields.push(name.as_ref(), value.as_ref());
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_are_found_by_name() {
        let own = Name::new(b"X-Own");
        let mut f: Fields = [
            ("Host", "a"),
            ("X-Own", "1"),
            ("Cookie", "c"),
            ("x-own", "2"),
        ]
        .into_iter()
        .collect();
        assert_eq!(f.get(Known::Host), Some(&b"a"[..]));
        assert_eq!(f.get(Known::Via), None);
        assert_eq!(f.all_named(&own).collect::<Vec<_>>(), [b"1", b"2"]);
        f.set_named(&own, b"3");
        let names: Vec<_> = f.iter().map(|(n, _)| n).collect();
        assert_eq!(names, [&b"host"[..], b"cookie", b"x-own"]);
        assert!(f.remove(Known::Host));
        assert!(!f.has(Known::Host));
        f.retain(|name, _| name != b"cookie");
        assert!(!f.has(Known::Cookie));
        assert_eq!(f.len(), 1);
        assert_eq!(f.octets(), 5 + 1 + 4);
        f.clear();
        assert!(f.is_empty());
    }

    #[test]
    fn list_members_of_all_lines() {
        let f: Fields = [("Connection", "close, X-A ,"), ("connection", "x-b")]
            .into_iter()
            .collect();
        let members: Vec<_> = f.members(Known::Connection).collect();
        assert_eq!(members, [&b"close"[..], b"X-A", b"x-b"]);
    }
}

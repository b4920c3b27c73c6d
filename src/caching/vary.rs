//! What tells responses of one URL apart (RFC 9111 section 4.1).

use crate::message::{Fields, Known, Name, RequestHead};

/// The largest number of names in `Vary` that is followed.
const MOST_NAMES: usize = 16;

/// The fields that `Vary` names, with their values in the request that was answered; none without
/// `Vary`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Selection(Box<[Chosen]>);

/// One field that selects.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Chosen {
    name: Name,
    /// As [`normal`] writes it; `None` when the request had none.
    value: Option<Box<[u8]>>,
}

/// What selects a response to `request`; `None` when no other request ever matches (`*`), or more
/// fields are named than are followed.
pub fn select(response: &Fields, request: &RequestHead) -> Option<Selection> {
    if !response.has(Known::Vary) {
        return Some(Selection::default());
    }
    let mut names: Vec<Name> = Vec::new();
    for member in response.members(Known::Vary) {
        let name = Name::new(member);
        if member == b"*" || names.len() == MOST_NAMES {
            return None;
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort();
    let chosen = names.into_iter().map(|name| Chosen {
        value: normal(&name, request),
        name,
    });
    Some(Selection(chosen.collect()))
}

impl Selection {
    /// Whether a request selects the same response.
    pub fn matches(&self, request: &RequestHead) -> bool {
        self.0
            .iter()
            .all(|c| normal(&c.name, request).as_deref() == c.value.as_deref())
    }

    /// Whether there is nothing that selects.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Octets that it takes in memory.
    pub fn weight(&self) -> usize {
        let of = |c: &Chosen| {
            c.name.as_bytes().len() + c.value.as_ref().map_or(0, |v| v.len()) + size_of::<Chosen>()
        };
        self.0.iter().map(of).sum()
    }

    /// Names and values, for who writes them down.
    pub fn parts(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0
            .iter()
            .map(|c| (c.name.as_bytes(), c.value.as_deref()))
    }

    /// What [`Selection::parts`] told.
    pub fn from_parts(parts: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Selection {
        let chosen = parts.map(|(name, value)| Chosen {
            name: Name::new(&name),
            value: value.map(Vec::into_boxed_slice),
        });
        Selection(chosen.collect())
    }
}

/// The value of a field of the request, over all its lines, so that values of the same meaning are the
/// same: without white space around members, and for lists whose order or case says nothing, sorted and
/// in lower case.
fn normal(name: &Name, request: &RequestHead) -> Option<Box<[u8]>> {
    if *name == Name::Known(Known::Host) {
        return Some(request.authority.clone().into());
    }
    let fields = &request.fields;
    fields.get_named(name)?;
    let members = fields
        .all_named(name)
        .flat_map(|line| line.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|m| !m.is_empty());
    let is_language = name.as_bytes() == b"accept-language";
    if is_language || *name == Name::Known(Known::AcceptEncoding) {
        // RFC 9110 sections 12.5.3 and 12.5.4: only the weights rank, and no letter's case counts.
        let mut all: Vec<Vec<u8>> = members
            .map(|m| {
                let kept = m.iter().filter(|b| !matches!(b, b' ' | b'\t'));
                kept.map(u8::to_ascii_lowercase).collect()
            })
            .collect();
        all.sort();
        return Some(all.join(&b","[..]).into());
    }
    let all: Vec<&[u8]> = members.collect();
    Some(all.join(&b","[..]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)]) -> RequestHead {
        RequestHead {
            fields: fields.iter().copied().collect(),
            ..RequestHead::default()
        }
    }

    fn matches(vary: &[&str], stored: &[(&str, &str)], presented: &[(&str, &str)]) -> bool {
        let response: Fields = vary.iter().map(|v| ("Vary", v)).collect();
        select(&response, &request(stored)).is_some_and(|s| s.matches(&request(presented)))
    }

    #[test]
    fn rfc9111_4_1_every_named_field_must_match() {
        let one = [("Foo", "1")];
        assert!(matches(&[], &one, &[]));
        assert!(matches(&["Foo"], &one, &[("foo", "1"), ("Other", "2")]));
        assert!(!matches(&["Foo"], &one, &[("Foo", "2")]));
        assert!(!matches(&["Foo"], &one, &[]));
        assert!(!matches(&["Foo"], &[], &one));
        assert!(matches(&["Foo"], &[], &[]));
        let both = [("Foo", "1"), ("Bar", "abc")];
        assert!(matches(&["Foo", "Bar"], &both, &[both[1], both[0]]));
        assert!(!matches(&["Foo, Bar"], &both, &[both[0]]));
    }

    #[test]
    fn rfc9111_4_1_star_matches_nothing() {
        for vary in [
            &["*"][..],
            &["*, *"],
            &["*", "*"],
            &[", *"],
            &["*, Foo"],
            &["Foo, *"],
        ] {
            assert!(!matches(vary, &[], &[]), "{vary:?}");
        }
    }

    #[test]
    fn rfc9111_4_1_values_of_one_meaning_are_one() {
        assert!(matches(
            &["Foo"],
            &[("Foo", "1, 2")],
            &[("Foo", "1"), ("Foo", "2")]
        ));
        assert!(matches(&["Foo"], &[("Foo", "1,2")], &[("Foo", " 1,  2 ")]));
        assert!(!matches(&["Foo"], &[("Foo", "1, 2")], &[("Foo", "2, 1")]));
        let language = [("Accept-Language", "en, de;q=0.5")];
        assert!(matches(
            &["Accept-Language"],
            &language,
            &[("Accept-Language", "DE; q=0.5,EN")]
        ));
        assert!(!matches(
            &["Accept-Language"],
            &language,
            &[("Accept-Language", "en, de;q=0.4")]
        ));
    }

    #[test]
    fn no_more_names_are_followed_than_the_bound() {
        let names = |n: usize| {
            let all: Vec<String> = (0..n).map(|i| format!("x-{i}")).collect();
            all.join(", ")
        };
        assert!(matches(&[&names(MOST_NAMES)], &[], &[]));
        assert!(!matches(&[&names(MOST_NAMES + 1)], &[], &[]));
    }

    #[test]
    fn a_selection_is_the_same_after_it_was_written_down() {
        let response: Fields = [("Vary", "Foo, Accept-Encoding")].into_iter().collect();
        let selection = select(&response, &request(&[("Foo", "1")])).unwrap();
        let owned = |(n, v): (&[u8], Option<&[u8]>)| (n.to_vec(), v.map(<[u8]>::to_vec));
        let parts: Vec<_> = selection.parts().map(owned).collect();
        assert_eq!(Selection::from_parts(parts.into_iter()), selection);
        assert!(selection.weight() > 0 && !selection.is_empty());
    }
}

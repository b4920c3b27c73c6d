//! Operations on the fields of a message: remove, set, default, add, in this order.

use crate::message::{Fields, Known, Name, RequestHead, ResponseHead};

use super::{Escape, Facts, Template};

/// Changes of the fields of a message.
///
/// All values are rendered from the message as it came before the first change is made, so the order
/// in which an operator writes them has no meaning.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FieldChanges {
    /// Fields that are taken out.
    pub remove: Vec<Name>,
    /// Fields that are made the only ones of their name.
    pub set: Vec<(Name, Template)>,
    /// Fields that are set where the message has none of their name.
    pub default: Vec<(Name, Template)>,
    /// Fields that are added to those of their name.
    pub add: Vec<(Name, Template)>,
}

/// The memory that rendering uses, kept from exchange to exchange.
#[derive(Debug, Default)]
pub struct Rendered {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Rendered {
    /// What was rendered, in order.
    fn values(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(from, to)| &self.text[from..*to])
    }
}

/// Fields that frame a message or speak of its connection: the proxy writes them itself.
pub fn is_framing(name: &Name) -> bool {
    let Name::Known(known) = name else {
        return false;
    };
    matches!(
        known,
        Known::Connection
            | Known::ContentLength
            | Known::Http2Settings
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::Te
            | Known::Trailer
            | Known::TransferEncoding
            | Known::Upgrade
    )
}

impl FieldChanges {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty()
            && self.set.is_empty()
            && self.default.is_empty()
            && self.add.is_empty()
    }

    /// These changes, and then `others`.
    pub fn and(mut self, others: &FieldChanges) -> FieldChanges {
        self.remove.extend(others.remove.iter().cloned());
        self.default.extend(others.default.iter().cloned());
        self.add.extend(others.add.iter().cloned());
        for (name, template) in &others.set {
            self.set.retain(|(n, _)| n != name);
            self.set.push((name.clone(), template.clone()));
        }
        self
    }

    /// Renders the values that depend on the exchange; `FieldChanges::apply` uses them.
    pub fn render(&self, facts: &Facts<'_>, rendered: &mut Rendered) {
        rendered.text.clear();
        rendered.ends.clear();
        for template in self.templates() {
            // A constant is taken from where it is.
            if template.constant().is_none() {
                template.render(facts, Escape::Field, &mut rendered.text);
            }
            rendered.ends.push(rendered.text.len());
        }
    }

    fn templates(&self) -> impl Iterator<Item = &Template> {
        let all = self.set.iter().chain(&self.default).chain(&self.add);
        all.map(|(_, template)| template)
    }

    /// Makes the changes in a request. A `host` that is set becomes the authority, unless what was
    /// rendered cannot be one.
    pub fn apply_to_request(&self, head: &mut RequestHead, rendered: &Rendered) {
        self.apply(rendered, &mut head.fields, |name, value| {
            if *name != Name::Known(Known::Host) {
                return false;
            }
            if is_authority(value) {
                head.authority.clear();
                head.authority
                    .extend(value.iter().map(u8::to_ascii_lowercase));
            }
            true
        });
    }

    /// Makes the changes in a response.
    pub fn apply_to_response(&self, head: &mut ResponseHead, rendered: &Rendered) {
        self.apply(rendered, &mut head.fields, |_, _| false);
    }

    fn apply(
        &self,
        rendered: &Rendered,
        fields: &mut Fields,
        mut elsewhere: impl FnMut(&Name, &[u8]) -> bool,
    ) {
        for name in &self.remove {
            fields.remove_named(name);
        }
        let mut values = rendered.values();
        let mut next = || values.next().unwrap_or_default();
        for (name, template) in &self.set {
            let value = value(template, next());
            if !elsewhere(name, value) {
                fields.set_named(name, value);
            }
        }
        for (name, template) in &self.default {
            let value = value(template, next());
            if fields.get_named(name).is_none() {
                fields.push_named(name, value);
            }
        }
        for (name, template) in &self.add {
            let value = value(template, next());
            fields.push_named(name, value);
        }
    }
}

/// A constant stands in the template, everything else was rendered.
fn value<'a>(template: &'a Template, rendered: &'a [u8]) -> &'a [u8] {
    template.constant().unwrap_or(rendered)
}

/// Whether `text` may be a host with an optional port (RFC 9110 section 7.2).
fn is_authority(text: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+,;=".contains(b);
    (1..=1024).contains(&text.len()) && text.iter().all(allowed)
}

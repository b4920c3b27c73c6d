//! Text with variables: parsed once, rendered into a buffer that the caller keeps.

use super::variable::NotVariable;
use super::{Facts, Variable};

/// Text in which `${NAME}` stands for a [`Variable`]; `$${` is a plain `${`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Template {
    parts: Box<[Part]>,
}

#[derive(Clone, PartialEq, Debug)]
enum Part {
    Text(Box<[u8]>),
    Variable(Variable),
}

/// Why a text is no template.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// No variable has this name.
    #[error("has the unknown variable `${{{0}}}`")]
    Unknown(String),
    /// The variable's argument is missing, or cannot be a name.
    #[error("has `${{{0}}}`, whose argument is not a name")]
    Argument(String),
    /// A variable does not end.
    #[error("has a `${{` without its `}}`")]
    Unclosed,
    /// It holds a control character, which would end the field.
    #[error("holds the control character {0:#04x}")]
    Control(u8),
}

/// Where the text of a template goes, and so what its variables must not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Escape {
    /// The value of a field: control characters become spaces (RFC 9110 section 5.5).
    Field,
    /// Plain text: control characters become spaces.
    Plain,
    /// HTML text and attributes in quotes.
    Html,
    /// A JSON string.
    Json,
}

impl Template {
    /// Reads the value of a field.
    ///
    /// # Errors
    /// For control characters and for what are no variables.
    pub fn field(text: &str) -> Result<Template, TemplateError> {
        let control = |b: &u8| b.is_ascii_control() && *b != b'\t';
        match text.bytes().find(control) {
            Some(b) => Err(TemplateError::Control(b)),
            None => Template::text(text),
        }
    }

    /// Reads a text of any lines: the body of a page.
    ///
    /// # Errors
    /// For what are no variables.
    pub fn text(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let before = &rest[..at];
            rest = &rest[at + 2..];
            if let Some(before) = before.strip_suffix('$') {
                plain.extend_from_slice(before.as_bytes());
                plain.extend_from_slice(b"${");
                continue;
            }
            plain.extend_from_slice(before.as_bytes());
            let (name, after) = rest.split_once('}').ok_or(TemplateError::Unclosed)?;
            let variable = Variable::parse(name).map_err(|e| match e {
                NotVariable::Unknown => TemplateError::Unknown(name.to_owned()),
                NotVariable::Argument => TemplateError::Argument(name.to_owned()),
            })?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(Part::Variable(variable));
            rest = after;
        }
        plain.extend_from_slice(rest.as_bytes());
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Template {
            parts: parts.into(),
        })
    }

    /// The text, where it is the same for every exchange.
    pub fn constant(&self) -> Option<&[u8]> {
        match &self.parts[..] {
            [] => Some(b""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the text for an exchange.
    pub fn render(&self, facts: &Facts<'_>, escape: Escape, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Variable(variable) => {
                    let from = out.len();
                    variable.write(facts, out);
                    escape.apply(out, from);
                }
            }
        }
    }
}

impl Escape {
    /// Makes what stands in `out` after `from` harmless.
    fn apply(self, out: &mut Vec<u8>, from: usize) {
        match self {
            Escape::Field | Escape::Plain => {
                for b in &mut out[from..] {
                    if b.is_ascii_control() {
                        *b = b' ';
                    }
                }
            }
            Escape::Html => replace(out, from, |b, out| match b {
                b'&' => out.extend_from_slice(b"&amp;"),
                b'<' => out.extend_from_slice(b"&lt;"),
                b'>' => out.extend_from_slice(b"&gt;"),
                b'"' => out.extend_from_slice(b"&quot;"),
                b'\'' => out.extend_from_slice(b"&#39;"),
                b if b.is_ascii_control() => out.push(b' '),
                b => out.push(b),
            }),
            Escape::Json => replace(out, from, |b, out| match b {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
                b if b.is_ascii_control() => out.push(b' '),
                b => out.push(b),
            }),
        }
        // Pages are text in UTF-8; a field's value may be any octets.
        if self != Escape::Field
            && let Err(e) = std::str::from_utf8(&out[from..])
        {
            let valid = from + e.valid_up_to();
            for b in &mut out[valid..] {
                if !b.is_ascii() {
                    *b = b'?';
                }
            }
        }
    }
}

fn replace(out: &mut Vec<u8>, from: usize, write: impl Fn(u8, &mut Vec<u8>)) {
    let raw = out.split_off(from);
    for b in raw {
        write(b, out);
    }
}

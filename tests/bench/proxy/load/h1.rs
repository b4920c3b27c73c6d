//! HTTP/1.1 as its client sees it: one answer after the other, each of a known length.

use crate::Error;

/// How far an answer has come.
#[derive(Default)]
pub(crate) struct Answer {
    /// A head that has not come whole.
    head: Vec<u8>,
    /// Octets of the body that are missing; `None` before the head is there.
    left: Option<u64>,
    /// Whether the server closes behind it.
    pub(crate) last: bool,
}

impl Answer {
    /// Takes what came; true when the answer is complete. Its body must have `length` octets.
    pub(crate) fn take(&mut self, part: &[u8], length: u64) -> Result<bool, Error> {
        let left = match self.left {
            Some(left) => left.checked_sub(part.len() as u64),
            None => {
                let mut all = part;
                if !self.head.is_empty() {
                    self.head.extend_from_slice(part);
                    all = &self.head;
                }
                let Some((head, last)) = parse(all, length)? else {
                    if self.head.is_empty() {
                        self.head.extend_from_slice(part);
                    }
                    return Ok(false);
                };
                self.last = last;
                let rest = all.len() - head;
                self.head.clear();
                length.checked_sub(rest as u64)
            }
        };
        match left {
            None => Err("more came than was announced".into()),
            Some(0) => {
                self.left = None;
                Ok(true)
            }
            left => {
                self.left = left;
                Ok(false)
            }
        }
    }
}

/// Octets of the head and whether the server will close, when the head is whole.
fn parse(all: &[u8], length: u64) -> Result<Option<(usize, bool)>, Error> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = answer.parse(all)? else {
        return Ok(None);
    };
    if answer.code != Some(200) {
        return Err(format!("status {:?}", answer.code).into());
    }
    let mut told = None;
    let mut last = false;
    for field in answer.headers {
        if field.name.eq_ignore_ascii_case("content-length") {
            told = std::str::from_utf8(field.value)?.parse().ok();
        } else if field.name.eq_ignore_ascii_case("connection") {
            last = field.value.eq_ignore_ascii_case(b"close");
        }
    }
    if told != Some(length) {
        return Err(format!("a body of {told:?} octets instead of {length}").into());
    }
    Ok(Some((head, last)))
}

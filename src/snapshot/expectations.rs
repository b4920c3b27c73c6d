//! What the configuration's authors expect of its answers, and what it answers.

/// An expectation that was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tried {
    /// Where it stands: `file:line:column`.
    pub place: Box<str>,
    /// What is asked: `www.gslb.example A for 192.0.2.0/24 with eu-1 down`.
    pub question: Box<str>,
    /// What is expected.
    pub wanted: Box<str>,
    /// What is answered.
    pub got: Box<str>,
    /// Why it is expected.
    pub because: Option<Box<str>>,
    /// Each part that does not hold, with both values; empty: all of it holds.
    pub broken: Vec<String>,
    /// The way to the answer, where a part does not hold; absent where very many are broken.
    pub lines: Vec<String>,
}

impl Tried {
    /// Whether all of it holds.
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

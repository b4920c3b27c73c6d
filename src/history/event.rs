//! One thing that happened, with the words for it.

use std::sync::Arc;

/// How much a person should care.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// As it should go.
    Info,
    /// To be looked at.
    Warning,
    /// Wrong.
    Error,
}

impl Level {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// Something that happened, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    /// The node that noticed it.
    pub node: Arc<str>,
    /// The view in force then.
    pub generation: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// The fleet's word about an endpoint changed.
    Verdict {
        /// Endpoint.
        endpoint: Arc<str>,
        /// State before: `up`, `down`, `unknown` …
        from: &'static str,
        /// State now.
        to: &'static str,
        /// Why, in words.
        cause: String,
        /// Whether this is bad news.
        level: Level,
    },
    /// An operator's order was given, ended or expired.
    Order {
        /// `given`, `cleared`, `expired` …
        step: &'static str,
        /// Who.
        owner: String,
        /// What it is about: `region eu`.
        subject: String,
        /// In words.
        text: String,
    },
    /// A configuration was adopted.
    ConfigAdopted {
        /// Its digest, in hex.
        digest: String,
        /// How many warnings it had.
        warnings: usize,
    },
    /// A configuration was refused.
    ConfigRefused {
        /// Every problem, one line each.
        problems: Vec<String>,
    },
    /// A step of a drill.
    Drill {
        /// The drill.
        id: String,
        /// The step: `begun`, `aborted`, `ended` …
        step: &'static str,
        /// In words.
        text: String,
        /// Whether this is bad news.
        level: Level,
    },
    /// Another node came or went.
    Member {
        /// The node.
        node: String,
        /// What became of it.
        step: &'static str,
    },
    /// Somebody was refused at the API.
    Refused {
        /// Who, as far as known, and from where.
        who: String,
        /// What they wanted, and why not.
        text: String,
    },
    /// A name answers by its last resort, or does no more.
    FailOpen {
        /// The name.
        name: String,
        /// Whether it begins.
        begins: bool,
    },
}

impl What {
    /// The kind, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            What::Verdict { .. } => "verdict",
            What::Order { .. } => "order",
            What::ConfigAdopted { .. } | What::ConfigRefused { .. } => "config",
            What::Drill { .. } => "drill",
            What::Member { .. } => "member",
            What::Refused { .. } => "refused",
            What::FailOpen { .. } => "fail-open",
        }
    }

    /// What it is about.
    pub fn subject(&self) -> String {
        match self {
            What::Verdict { endpoint, .. } => endpoint.to_string(),
            What::Order { subject, .. } => subject.clone(),
            What::ConfigAdopted { digest, .. } => digest.clone(),
            What::ConfigRefused { .. } => "configuration".to_owned(),
            What::Drill { id, .. } => id.clone(),
            What::Member { node, .. } => node.clone(),
            What::Refused { who, .. } => who.clone(),
            What::FailOpen { name, .. } => name.clone(),
        }
    }

    /// How much a person should care.
    pub fn level(&self) -> Level {
        match self {
            What::Verdict { level, .. } | What::Drill { level, .. } => *level,
            What::Order { .. } | What::ConfigAdopted { .. } | What::Member { .. } => Level::Info,
            What::Refused { .. } => Level::Warning,
            What::ConfigRefused { .. } => Level::Error,
            What::FailOpen { begins, .. } => match begins {
                true => Level::Error,
                false => Level::Info,
            },
        }
    }

    /// All of it in one line for people.
    pub fn text(&self) -> String {
        match self {
            What::Verdict {
                endpoint,
                from,
                to,
                cause,
                ..
            } => format!("endpoint {endpoint} was {from} and is {to}: {cause}"),
            What::Order {
                step, owner, text, ..
            } => format!("order {step} by {owner}: {text}"),
            What::ConfigAdopted { digest, warnings } => {
                format!("configuration {digest} adopted, {warnings} warnings")
            }
            What::ConfigRefused { problems } => format!(
                "configuration refused, the one in force stays: {}",
                problems.join("; ")
            ),
            What::Drill { id, step, text, .. } => format!("drill {id} {step}: {text}"),
            What::Member { node, step } => format!("node {node} {step}"),
            What::Refused { who, text } => format!("{who} was refused: {text}"),
            What::FailOpen { name, begins: true } => {
                format!("{name} answers by its last resort: nothing of it serves")
            }
            What::FailOpen { name, .. } => format!("{name} no longer answers by its last resort"),
        }
    }
}

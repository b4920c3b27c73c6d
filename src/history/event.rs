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

    /// The level of a word.
    pub fn from_word(word: &str) -> Option<Level> {
        let all = [Level::Info, Level::Warning, Level::Error];
        all.into_iter().find(|l| l.word() == word)
    }
}

/// The kinds of events, each in one word, as they are asked for.
pub const KINDS: [&str; 12] = [
    "verdict",
    "stale",
    "brake",
    "failback",
    "vantage",
    "fail-open",
    "order",
    "config",
    "drill",
    "member",
    "refused",
    "node",
];

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
        /// How the votes stood; `None` where this node's own word is the verdict.
        votes: Option<String>,
    },
    /// Nobody who could say otherwise has a vote on an endpoint any more, or somebody has again.
    Stale {
        /// Endpoint.
        endpoint: Arc<str>,
        /// Whether it begins.
        begins: bool,
    },
    /// An endpoint that fails its checks is kept in, or is no more: too much would go at once, or its check
    /// is suspect.
    Brake {
        /// Endpoint.
        endpoint: Arc<str>,
        /// Whether it begins.
        begins: bool,
        /// Why, in words.
        cause: String,
    },
    /// An endpoint passes again and waits for its clients, or gets more of them.
    Failback {
        /// Endpoint.
        endpoint: Arc<str>,
        /// Percent of its clients that it gets now.
        share: u8,
        /// In words.
        text: String,
    },
    /// What a vantage's word is worth changed.
    Vantage {
        /// The node that probes.
        node: Arc<str>,
        /// In words.
        from: String,
        /// In words.
        to: String,
        /// Whether it has a vote now.
        votes: bool,
    },
    /// More changed at once than is told one by one.
    More {
        /// How many more.
        count: usize,
        /// What: `endpoints changed` …
        what: &'static str,
    },
    /// This node began to serve, or ends.
    Node {
        /// `serves`, `stops` …
        step: &'static str,
        /// In words.
        text: String,
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
            What::Verdict { .. } | What::More { .. } => "verdict",
            What::Stale { .. } => "stale",
            What::Brake { .. } => "brake",
            What::Failback { .. } => "failback",
            What::Vantage { .. } => "vantage",
            What::Node { .. } => "node",
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
            What::Verdict { endpoint, .. }
            | What::Stale { endpoint, .. }
            | What::Brake { endpoint, .. }
            | What::Failback { endpoint, .. } => endpoint.to_string(),
            What::Vantage { node, .. } => node.to_string(),
            What::More { what, .. } | What::Node { step: what, .. } => (*what).to_owned(),
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
            What::Order { .. }
            | What::ConfigAdopted { .. }
            | What::Failback { .. }
            | What::Node { .. } => Level::Info,
            What::Member { step, .. } => match *step {
                "silent" => Level::Warning,
                _ => Level::Info,
            },
            What::Refused { .. } | What::More { .. } => Level::Warning,
            What::Stale { begins: news, .. } | What::Brake { begins: news, .. } => match news {
                true => Level::Warning,
                false => Level::Info,
            },
            What::Vantage { votes, .. } => match votes {
                true => Level::Info,
                false => Level::Warning,
            },
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
                votes,
                ..
            } => {
                let votes = votes.as_ref().map(|v| format!(" ({v})"));
                let votes = votes.unwrap_or_default();
                format!("endpoint {endpoint} was {from} and is {to}: {cause}{votes}")
            }
            What::Stale { endpoint, begins } => match begins {
                true => format!(
                    "endpoint {endpoint} is stale: nobody who could say otherwise has a vote, so it \
                     stays what it was"
                ),
                false => format!("endpoint {endpoint} is stale no more: somebody has a vote again"),
            },
            What::Brake {
                endpoint,
                begins,
                cause,
            } => match begins {
                true => format!("endpoint {endpoint} fails its checks and is kept in: {cause}"),
                false => format!("endpoint {endpoint} is kept in no more"),
            },
            What::Failback {
                endpoint,
                share,
                text,
            } => format!("endpoint {endpoint} gets {share}% of its clients: {text}"),
            What::Vantage { node, from, to, .. } => {
                format!("vantage {node} was {from} and is {to}")
            }
            What::More { count, what } => {
                format!("{count} more {what} at once; they are not told one by one")
            }
            What::Node { step, text } => format!("this node {step}: {text}"),
            What::Order {
                step: "ordered",
                owner,
                text,
                ..
            } => format!("{owner} ordered {text}"),
            // Whoever gave it did not receive it.
            What::Order {
                step, owner, text, ..
            } => format!("order of {owner} {step}: {text}"),
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

    /// Its particulars, each with its name, for programs.
    pub fn details(&self) -> Vec<(&'static str, String)> {
        let list = |all: &[String]| all.join("\n");
        match self {
            What::Verdict {
                from,
                to,
                cause,
                votes,
                ..
            } => {
                let mut details = vec![
                    ("from", (*from).to_owned()),
                    ("to", (*to).to_owned()),
                    ("cause", cause.clone()),
                ];
                details.extend(votes.clone().map(|v| ("votes", v)));
                details
            }
            What::Stale { begins, .. } | What::FailOpen { begins, .. } => {
                vec![("begins", begins.to_string())]
            }
            What::Brake { begins, cause, .. } => {
                vec![("begins", begins.to_string()), ("cause", cause.clone())]
            }
            What::Failback { share, .. } => vec![("share", share.to_string())],
            What::Vantage { from, to, .. } => vec![("from", from.clone()), ("to", to.clone())],
            What::Order { step, owner, .. } => {
                vec![("step", (*step).to_owned()), ("owner", owner.clone())]
            }
            What::ConfigAdopted { warnings, .. } => vec![
                ("step", "adopted".to_owned()),
                ("warnings", warnings.to_string()),
            ],
            What::ConfigRefused { problems } => {
                vec![("step", "refused".to_owned()), ("problems", list(problems))]
            }
            What::Drill { step, .. } | What::Member { step, .. } | What::Node { step, .. } => {
                vec![("step", (*step).to_owned())]
            }
            What::More { count, .. } => vec![("count", count.to_string())],
            What::Refused { .. } => Vec::new(),
        }
    }
}

//! The configuration in force as shown.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::effective::{Page, Row, Said, Setting};

/// Some options of the configuration in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct Config {
    /// Digest of the configuration.
    pub config: String,
    /// All options at the path that was asked for.
    pub total: usize,
    /// Some of them, in the order of the files; the defaults of a table after what stands in it.
    pub options: Vec<ConfigOption>,
    /// Give it as `after` for those that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An option.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConfigOption {
    /// Where it stands: `pools.eu.endpoints[0].address`; names that are no bare keys are quoted.
    pub path: String,
    /// What it is; of a secret the text `(secret)`. Durations, sizes and shares are texts.
    #[schema(value_type = Value)]
    pub value: Value,
    /// Who says so: `FILE:LINE`, `default` or `command line`.
    pub from: String,
}

impl Config {
    /// A page of the configuration with this digest.
    pub fn of(config: String, page: Page) -> Config {
        Config {
            config,
            total: page.total,
            options: page.rows.into_iter().map(ConfigOption::from).collect(),
            next: page.next.map(|n| n.to_string()),
        }
    }
}

impl From<Row> for ConfigOption {
    fn from(row: Row) -> ConfigOption {
        ConfigOption {
            path: row.path,
            value: value(row.value),
            from: match row.said {
                Said::File(file, line) => format!("{file}:{line}"),
                Said::Default => "default".to_owned(),
                Said::CommandLine => "command line".to_owned(),
            },
        }
    }
}

fn value(setting: Setting) -> Value {
    match setting {
        Setting::Text(text) => text.into(),
        Setting::Integer(number) => number.into(),
        Setting::Number(number) => number.into(),
        Setting::Flag(flag) => flag.into(),
        Setting::List(all) => all.into_iter().map(value).collect(),
        Setting::Empty => Value::Object(serde_json::Map::new()),
    }
}

//! Asking one node after the other until one answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::credentials::{Credentials, fresh_key};
use crate::config::load::load;
use crate::config::spec::Role;

/// Where a node listens unless the configuration or the command line says otherwise.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8053);

/// A node that does not take a connection within this time is passed over.
const CONNECT: Duration = Duration::from_secs(2);

/// A node waits up to 5 s for the others, and up to 5 s for its disk.
const WHOLE: Duration = Duration::from_secs(20);

/// Which nodes are asked.
#[derive(Debug, Args)]
pub(super) struct Via {
    /// A node's admin API; may be given several times, the first that answers takes the order. The
    /// default is http://127.0.0.1:8053, or the nodes of --config.
    #[arg(long = "server")]
    servers: Vec<String>,
    /// A configuration: its nodes' admin addresses are asked, so that no DNS is needed to find them.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The API's JSON instead of text.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) credentials: Credentials,
}

/// What a node answered.
pub(super) struct Answer {
    pub(super) json: Value,
    pub(super) server: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// A node refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem, as it said it.
        json: Value,
    },
    /// No node answered, or none can be asked: why, and what to do.
    Silent(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Refused { json, .. } => f.write_str(&told(json)),
            Failure::Silent(why) => f.write_str(why),
        }
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure::Silent(why)
    }
}

/// Asks the nodes in turn; the first that answers decides.
pub(super) fn ask(
    via: &Via,
    method: &str,
    path: &str,
    query: &[(&str, String)],
    body: Option<&Value>,
) -> Result<Answer, String> {
    try_ask(via, method, path, query, body).map_err(|e| e.to_string())
}

/// As [`ask`], and says of a refusal all that the node said.
pub(super) fn try_ask(
    via: &Via,
    method: &str,
    path: &str,
    query: &[(&str, String)],
    body: Option<&Value>,
) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the runtime: {e}"))?;
    let servers = servers(via)?;
    let key = fresh_key()?;
    let client = via
        .credentials
        .client()?
        .connect_timeout(CONNECT)
        .timeout(WHOLE)
        .build()
        .map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let mut silent = Vec::new();
        for server in servers {
            match one(&client, (via, &key), &server, method, path, query, body).await {
                Ok((status, json)) if status.is_success() => return Ok(Answer { json, server }),
                Ok((status, json)) => {
                    let status = status.as_u16();
                    return Err(Failure::Refused { status, json });
                }
                Err(e) => silent.push(format!("{server}: {e}")),
            }
        }
        Err(Failure::Silent(format!(
            "no node answered ({}); say with --server where one is",
            silent.join("; ")
        )))
    })
}

/// What a problem says, with all that it lists.
fn told(json: &Value) -> String {
    let Some(detail) = json["detail"].as_str() else {
        return json.to_string();
    };
    let listed = json["problems"].as_array().into_iter().flatten();
    // The detail of a broken rule has them already.
    let listed = listed
        .filter_map(Value::as_str)
        .filter(|p| !detail.contains(p));
    listed.fold(detail.to_owned(), |said, problem| said + "\n  " + problem)
}

async fn one(
    client: &reqwest::Client,
    (via, key): (&Via, &str),
    server: &str,
    method: &str,
    path: &str,
    query: &[(&str, String)],
    body: Option<&Value>,
) -> Result<(reqwest::StatusCode, Value), String> {
    let mut url =
        reqwest::Url::parse(server).map_err(|e| format!("`{server}` is not a URL: {e}"))?;
    url.set_path(path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let method = method.parse().map_err(|_| "no such method".to_owned())?;
    let request = client.request(method, url.clone());
    let mut request = via.credentials.sign(request, &url, key)?;
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let response = request.send().await.map_err(|e| match e.is_timeout() {
        true => "no answer in time".to_owned(),
        false => unreached(&e),
    })?;
    let status = response.status();
    let text = response
        .text()
        .await
        .map_err(|e| format!("the answer broke off: {e}"))?;
    let json =
        serde_json::from_str(&text).map_err(|e| format!("it did not answer in JSON: {e}"))?;
    Ok((status, json))
}

/// Why a node was not reached. The certificate's fault is worth a word.
fn unreached(error: &reqwest::Error) -> String {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return format!("no connection: {tls}");
        }
        // An error of input and output hides what it holds from whoever asks for its source.
        let held = inner.downcast_ref::<std::io::Error>();
        cause = match held.and_then(std::io::Error::get_ref) {
            Some(held) => Some(held),
            None => inner.source(),
        };
    }
    "no connection".to_owned()
}

/// The nodes to ask, in turn.
pub(super) fn servers(via: &Via) -> Result<Vec<String>, String> {
    let mut servers = via.servers.clone();
    if let Some(config) = &via.config {
        servers.extend(of_config(config)?);
    }
    if servers.is_empty() {
        servers.push(format!("http://{DEFAULT}"));
    }
    Ok(servers)
}

/// The admin addresses of a configuration's nodes; a node that listens everywhere is sought here.
fn of_config(config: &Path) -> Result<Vec<String>, String> {
    let loaded = load(config).map_err(|report| {
        let lines: Vec<String> = report.lines().collect();
        format!(
            "`{}` is wrong, so the nodes in it are not known; correct it, or give --server: {}",
            config.display(),
            lines.join("; ")
        )
    })?;
    let admins = loaded.spec.nodes.iter();
    let admins = admins.filter(|n| n.roles.iter().any(|r| r.value == Role::Admin));
    Ok(admins
        .map(|n| {
            let scheme = match n.admin.certificate {
                Some(_) => "https",
                None => "http",
            };
            let mut address = n.admin_listen.as_ref().map_or(DEFAULT, |a| a.value);
            if address.ip().is_unspecified() {
                address.set_ip(match address {
                    SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                    SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
                });
            }
            format!("{scheme}://{address}")
        })
        .collect())
}

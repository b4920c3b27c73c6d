//! Listening to a node's stream of events, and to another's when that one ends.

use std::time::Duration;

use serde_json::Value;

use super::ask::{Via, servers};
use super::credentials::fresh_key;

/// A node that does not take a connection within this time is passed over.
const CONNECT: Duration = Duration::from_secs(2);

/// A node that is silent for so long is taken to be gone: it gives a sign of life each 15 s.
const SILENCE: Duration = Duration::from_secs(40);

/// Before all nodes are tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Longest line of a stream, in octets.
const LONGEST: usize = 1 << 20;

/// What a stream says.
pub(super) enum Heard {
    /// Something happened.
    Event(Value),
    /// A word about the stream itself.
    Note(String),
}

/// Hands what happens after event `last` to `hear`, and connects again whenever a stream ends. Returns why
/// it cannot go on: no node was ever reached, or one refuses.
pub(super) fn listen(
    via: &Via,
    path: &str,
    query: &[(&str, String)],
    last: Option<u64>,
    mut hear: impl FnMut(Heard),
) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (runtime, servers) = match (runtime, servers(via)) {
        (Ok(runtime), Ok(servers)) => (runtime, servers),
        (Err(e), _) => return format!("cannot start the runtime: {e}"),
        (_, Err(e)) => return e,
    };
    let client = via.credentials.client();
    let client = client.and_then(|c| {
        let built = c.connect_timeout(CONNECT).build();
        built.map_err(|e| e.to_string())
    });
    let client = match client {
        Ok(client) => client,
        Err(e) => return e,
    };
    runtime.block_on(async {
        // Numbers are a node's own: what another one calls so is something else.
        let mut after: Option<(usize, u64)> = last.map(|n| (0, n));
        let mut reached = false;
        loop {
            let mut silent = Vec::new();
            for (i, server) in servers.iter().enumerate() {
                let number = after.filter(|(of, _)| *of == i).map(|(_, n)| n);
                let mut stream = Stream {
                    after: number,
                    reached: false,
                };
                let url = match url(server, path, query) {
                    Ok(url) => url,
                    Err(e) => return e,
                };
                let ended = stream.read(via, &client, url, &mut hear).await;
                if stream.reached {
                    reached = true;
                    after = stream.after.map(|n| (i, n));
                }
                match ended {
                    Err(Ended::Refused(why)) => return why,
                    Err(Ended::Lost(why)) if stream.reached => {
                        hear(Heard::Note(format!(
                            "note: {server}: {why}; connecting again"
                        )));
                        break;
                    }
                    Err(Ended::Lost(why)) => silent.push(format!("{server}: {why}")),
                    Ok(()) => break,
                }
            }
            if !reached {
                return format!(
                    "no node answered ({}); say with --server where one is",
                    silent.join("; ")
                );
            }
            tokio::time::sleep(AGAIN).await;
        }
    })
}

enum Ended {
    Refused(String),
    Lost(String),
}

fn url(server: &str, path: &str, query: &[(&str, String)]) -> Result<reqwest::Url, String> {
    let mut url =
        reqwest::Url::parse(server).map_err(|e| format!("`{server}` is not a URL: {e}"))?;
    url.set_path(path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

struct Stream {
    after: Option<u64>,
    reached: bool,
}

impl Stream {
    async fn read(
        &mut self,
        via: &Via,
        client: &reqwest::Client,
        url: reqwest::Url,
        hear: &mut impl FnMut(Heard),
    ) -> Result<(), Ended> {
        let lost = |what: &str| Ended::Lost(what.to_owned());
        let key = fresh_key().map_err(Ended::Refused)?;
        let request = client.get(url.clone());
        let request = via.credentials.sign(request, &url, &key);
        let mut request = request
            .map_err(Ended::Refused)?
            .header("accept", "text/event-stream");
        if let Some(number) = self.after {
            request = request.header("last-event-id", number.to_string());
        }
        let mut response = request.send().await.map_err(|_| lost("no connection"))?;
        let status = response.status();
        if status.is_client_error() {
            let text = response.text().await.unwrap_or_default();
            let json: Option<Value> = serde_json::from_str(&text).ok();
            let detail = json.and_then(|j| Some(j.get("detail")?.as_str()?.to_owned()));
            return Err(Ended::Refused(detail.unwrap_or(text)));
        }
        if !status.is_success() {
            return Err(Ended::Lost(status.to_string()));
        }
        self.reached = true;
        let mut rest = Vec::new();
        let mut event = Pending::default();
        loop {
            let piece = tokio::time::timeout(SILENCE, response.chunk()).await;
            let piece = piece.map_err(|_| lost("it is silent"))?;
            let piece = piece.map_err(|_| lost("the connection broke"))?;
            let Some(piece) = piece else {
                return Err(lost("the stream ended"));
            };
            rest.extend_from_slice(&piece);
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line[..end]);
                if let Some(heard) = event.line(line.trim_end_matches('\r'), &mut self.after) {
                    hear(heard);
                }
            }
            if rest.len() > LONGEST {
                return Err(lost("a line of the stream is too long"));
            }
        }
    }
}

/// An event as far as it was read.
#[derive(Default)]
struct Pending {
    kind: String,
    data: String,
    id: Option<u64>,
}

impl Pending {
    /// Takes a line; gives what is complete with it.
    fn line(&mut self, line: &str, after: &mut Option<u64>) -> Option<Heard> {
        if line.is_empty() {
            let event = std::mem::take(self);
            if event.id.is_some() {
                *after = event.id;
            }
            return event.finish();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => self.data.push_str(value),
            "id" => self.id = value.parse().ok(),
            // A sign of life begins with a colon.
            _ => {}
        }
        None
    }

    fn finish(self) -> Option<Heard> {
        let data: Value = serde_json::from_str(&self.data).ok()?;
        match &*self.kind {
            "hello" | "generation" | "closing" => None,
            "gap" | "slow" => {
                let detail = data.get("detail").and_then(Value::as_str);
                Some(Heard::Note(format!(
                    "note: {}",
                    detail.unwrap_or(&self.kind)
                )))
            }
            _ => Some(Heard::Event(data)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_line_by_line() {
        let text = "retry: 1000\nid: 4\nevent: hello\ndata: {}\n\n: alive\n\nid: 5\nevent: verdict\n\
                    data: {\"number\":5}\n\nevent: generation\ndata: {\"generation\":9}\n\n\
                    event: gap\ndata: {\"detail\":\"some are gone\"}\n\n";
        let (mut pending, mut after, mut heard) = (Pending::default(), None, Vec::new());
        for line in text.split('\n') {
            match pending.line(line, &mut after) {
                Some(Heard::Event(event)) => heard.push(event.to_string()),
                Some(Heard::Note(note)) => heard.push(note),
                None => {}
            }
        }
        assert_eq!(heard, ["{\"number\":5}", "note: some are gone"]);
        assert_eq!(after, Some(5));
    }
}

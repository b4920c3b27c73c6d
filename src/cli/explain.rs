//! `tradewind explain`: asks a node's admin API.

use std::process::ExitCode;

use super::ExplainArgs;

/// Prints why the client gets its answer.
pub(super) fn explain(args: &ExplainArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => return super::failed(format!("cannot start the runtime: {e}")),
    };
    match runtime.block_on(ask(args)) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(e) => super::failed(e),
    }
}

async fn ask(args: &ExplainArgs) -> Result<String, String> {
    let mut url = reqwest::Url::parse(&args.server)
        .map_err(|e| format!("`{}` is not a URL: {e}", args.server))?;
    url.set_path("/v1/explain");
    url.query_pairs_mut()
        .append_pair("name", &args.name)
        .append_pair("type", &args.qtype)
        .append_pair("client", &args.client);
    if let Some(draw) = &args.draw {
        url.query_pairs_mut().append_pair("draw", draw);
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(std::time::Duration::from_secs(10))
        .build()
        .map_err(|e| e.to_string())?;
    let response = client.get(url.clone()).send().await.map_err(|e| {
        format!(
            "no answer from {}: {e}; is the node running, and is --server its admin address?",
            args.server
        )
    })?;
    let status = response.status();
    let body = response
        .text()
        .await
        .map_err(|e| format!("the answer broke off: {e}"))?;
    let json: serde_json::Value = serde_json::from_str(&body)
        .map_err(|e| format!("{} did not answer with JSON: {e}", args.server))?;
    if !status.is_success() {
        let detail = json.get("detail").and_then(|d| d.as_str()).unwrap_or(&body);
        return Err(detail.to_owned());
    }
    if args.json {
        return Ok(format!("{json:#}\n"));
    }
    let lines = json
        .get("lines")
        .and_then(|l| l.as_array())
        .ok_or("the answer has no `lines`")?;
    Ok(lines
        .iter()
        .filter_map(|l| l.as_str())
        .map(|l| format!("{l}\n"))
        .collect())
}

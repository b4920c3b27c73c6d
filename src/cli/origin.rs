//! `tradewind origin`: a sample HTTP origin to send clients to, and to kill.

use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use tokio::io::AsyncReadExt;

use super::OriginArgs;

/// Serves until a signal ends it.
pub(super) fn origin(args: &OriginArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => return super::failed(format!("cannot start the runtime: {e}")),
    };
    match runtime.block_on(serve(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => super::failed(format!("cannot serve on {}: {e}", args.listen)),
    }
}

async fn serve(args: &OriginArgs) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    // The one who started it reads this line to learn the port.
    println!("listening on {}", listener.local_addr()?);
    let name = args.name.clone();
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(move || std::future::ready(format!("{name}\n")));
    let until_stdin_closes = args.until_stdin_closes;
    let ended = async move {
        if !until_stdin_closes {
            return std::future::pending().await;
        }
        let mut stdin = tokio::io::stdin();
        let mut byte = [0; 64];
        while matches!(stdin.read(&mut byte).await, Ok(n) if n > 0) {}
    };
    let server = axum::serve(listener, app);
    tokio::select! {
        result = server => result,
        () = ended => Ok(()),
        result = tokio::signal::ctrl_c() => result,
    }
}

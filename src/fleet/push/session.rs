//! One connection of a node that pushes, from its start to its end.

use std::sync::{Arc, PoisonError};

use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http2;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::channel::{End, Outgoing, Reader, Writer, body};
use super::client::Shared;
use super::frame::{Frame, VERSION};
use super::overheard::{Overheard, Said, tls_error};
use super::{ALPN, BEAT, LIFE, PATH, PATIENCE};
use crate::fleet::credentials::SERVER_NAME;
use crate::fleet::identity::{Reason, Side};

/// Octets of a refusal that are read at most.
const REFUSAL: usize = 2048;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// One end refused the other; it is noted.
    Refused,
    /// This node goes on as a later life.
    Renamed,
    /// Something else.
    Failed(String),
}

impl From<String> for Ended {
    fn from(why: String) -> Ended {
        Ended::Failed(why)
    }
}

/// Ends the task that drives the connection with it.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects to a target and pushes until something ends it.
pub(super) async fn run(shared: &Arc<Shared>, target: usize) -> Ended {
    let said = Said::default();
    let ended = match push(shared, target, &said).await {
        Ok(()) => Ended::Renamed,
        Err(ended) => ended,
    };
    let said = said.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (ended, said) {
        (Ended::Failed(_), Some(said)) => refused_by(shared, target, &said),
        (ended, _) => ended,
    }
}

async fn push(shared: &Arc<Shared>, target: usize, said: &Said) -> Result<(), Ended> {
    let tls = Overheard::new(connect(shared, target).await?, said.clone());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
        .await
        .map_err(|e| e.to_string())?;
    let _driver = Driver(tokio::spawn(async move {
        // How it ends is seen by those who use it.
        let _ = connection.await;
    }));
    let mut life = shared.generation.subscribe();
    let generation = *life.borrow_and_update();
    let (writer, outgoing) = body();
    let hello = Frame::Hello {
        version: VERSION,
        generation,
    };
    let failed = |e: End| Ended::Failed(e.to_string());
    writer.send([hello]).await.map_err(failed)?;
    let request: Request<Outgoing> = Request::post(format!("https://{SERVER_NAME}{PATH}"))
        .body(outgoing)
        .map_err(|e| e.to_string())?;
    let response = timeout(PATIENCE, sender.send_request(request))
        .await
        .map_err(|_| "no answer to the push".to_owned())?
        .map_err(|e| e.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(refusal(shared, target, generation, response).await);
    }
    shared.connected(target);
    let place = &shared.options.targets[target];
    tracing::info!(node = place.name, address = %place.address, "push: connected");
    let mut reader = Reader::new(response.into_body());
    tokio::select! {
        ended = write(shared, target, &writer) => ended.map_err(failed),
        ended = read(shared, target, &mut reader) => ended.map_err(failed),
        _ = life.changed() => Ok(()),
    }
}

async fn connect(shared: &Shared, target: usize) -> Result<TlsStream<TcpStream>, Ended> {
    let place = &shared.options.targets[target];
    let credentials = &shared.options.credentials;
    let tcp = timeout(PATIENCE, TcpStream::connect(place.address))
        .await
        .map_err(|_| format!("no connection within {} s", PATIENCE.as_secs()))?
        .map_err(|e| e.to_string())?;
    // Frames are small and wanted at once.
    let _ = tcp.set_nodelay(true);
    let mut settings = (*credentials.client()).clone();
    settings.alpn_protocols = vec![ALPN.to_vec()];
    let name = ServerName::try_from(SERVER_NAME).map_err(|e| e.to_string())?;
    let tls = timeout(
        PATIENCE,
        TlsConnector::from(Arc::new(settings)).connect(name, tcp),
    )
    .await
    .map_err(|_| "the TLS handshake took too long".to_owned())?
    .map_err(|e| match tls_error(&e) {
        Some(said) => refused_by(shared, target, said),
        None => Ended::Failed(e.to_string()),
    })?;
    let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
    // What is refused here is noted there.
    let peer = credentials.peer(chain).map_err(|_| Ended::Refused)?;
    if *peer.node != *place.name || !peer.roles.dns {
        let text = format!(
            "node `{}` answers at {}, where `push-to` expects node `{}` with role `dns`",
            peer.node, place.address, place.name
        );
        let refusals = &shared.options.refusals;
        refusals.refuse(Side::Here, Reason::UnknownNode, &peer.node, &text);
        return Err(Ended::Refused);
    }
    Ok(tls)
}

/// How a connection ended, when TLS said it.
fn refused_by(shared: &Shared, target: usize, said: &rustls::Error) -> Ended {
    let place = &shared.options.targets[target];
    shared.options.refusals.tls(&place.name, said);
    match said {
        rustls::Error::AlertReceived(_) | rustls::Error::InvalidCertificate(_) => Ended::Refused,
        other => Ended::Failed(other.to_string()),
    }
}

/// Notes what the other end said against us.
async fn refusal(
    shared: &Shared,
    target: usize,
    generation: u64,
    response: Response<Incoming>,
) -> Ended {
    let place = &shared.options.targets[target];
    let status = response.status();
    let known = response.headers().get(LIFE);
    let known: Option<u64> = known.and_then(|v| v.to_str().ok()?.parse().ok());
    let text = match timeout(
        PATIENCE,
        Limited::new(response.into_body(), REFUSAL).collect(),
    )
    .await
    {
        Ok(Ok(body)) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        _ => String::new(),
    };
    // It goes to the log.
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let reason = match status {
        StatusCode::CONFLICT => Reason::DuplicateName,
        StatusCode::FORBIDDEN => Reason::UnknownNode,
        StatusCode::HTTP_VERSION_NOT_SUPPORTED => Reason::UnknownVersion,
        _ => Reason::Malformed,
    };
    let refusals = &shared.options.refusals;
    refusals.refuse(
        Side::There,
        reason,
        &place.name,
        &format!("{status}: {text}"),
    );
    // The clock has gone back since an earlier life: this one goes on as a later one.
    if let Some(known) = known.filter(|k| *k > generation) {
        shared
            .generation
            .send_if_modified(|life| match *life <= known {
                true => {
                    *life = known + 1;
                    true
                }
                false => false,
            });
        return Ended::Renamed;
    }
    Ended::Refused
}

/// Sends all own keys, and then what changes.
async fn write(shared: &Shared, target: usize, writer: &Writer) -> Result<(), End> {
    let mut changes = shared.seq.subscribe();
    changes.mark_unchanged();
    let (frames, mut seq) = shared.since(0);
    let report = frames.into_iter().chain([Frame::Complete { seq }]);
    writer.send(report).await?;
    loop {
        shared.sent(target, seq);
        // Its sender lives as long as `shared`.
        let _ = timeout(BEAT, changes.changed()).await;
        let (mut frames, last) = shared.since(seq);
        if frames.is_empty() {
            frames.push(Frame::Beat { seq });
        }
        writer.send(frames).await?;
        seq = last;
    }
}

/// Takes what comes back.
async fn read(shared: &Shared, target: usize, reader: &mut Reader) -> Result<(), End> {
    let place = &shared.options.targets[target];
    loop {
        match reader.next().await? {
            Frame::Told {
                owner,
                generation,
                key,
                value,
            } => shared.told(target, &owner, generation, key, value),
            Frame::Notice { text } => {
                let text: String = text.chars().filter(|c| !c.is_control()).collect();
                let refusals = &shared.options.refusals;
                refusals.refuse(Side::There, Reason::KeyNotAllowed, &place.name, &text);
            }
            _ => {}
        }
    }
}

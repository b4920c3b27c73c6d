//! What stands between accept and a connection's octets: the PROXY protocol, where its TLS wants to go, and
//! TLS itself, where it ends here.

use tokio::net::TcpStream;

use crate::ids::{ListenerId, UpstreamId};
use crate::proxy::connection::Held;
use crate::proxy::door;
use crate::proxy::io::Io;
use crate::proxy::message::Peer;
use crate::proxy::stats::count;
use crate::proxy::tier::Tier;
use crate::proxy::tls::{HandshakeError, accept};
use crate::proxy::worker::Worker;
use crate::traffic::{SniRules, Target, TcpRules};

use super::flow::{Ended, Flow};
use super::hello::{self, Beginning, NoBeginning};
use super::refuse;

/// Where a connection goes.
pub enum Entered {
    /// To a backend of an upstream.
    Upstream(Io, UpstreamId),
    /// To another listener. Nothing was taken off it but a PROXY header, of which `Peer` has all.
    Listener(TcpStream, ListenerId),
}

/// Lets a connection in. `held` says whether another listener did what stands before TLS already, and counts
/// the connection for whom it turns out to be.
///
/// # Errors
/// Why it ended here.
pub async fn enter(
    worker: &Worker,
    tier: &Tier,
    rules: &TcpRules,
    mut tcp: TcpStream,
    (peer, held): (&mut Peer, &mut Held),
    flow: &mut Flow,
) -> Result<Entered, Ended> {
    let at = peer.listener.index();
    let listener = &tier.plan.listeners[at];
    if let Some(proxies) = listener
        .proxy_protocol
        .as_ref()
        .filter(|_| !held.is_handed())
    {
        match door::announced(&mut tcp, proxies, listener, (peer.source, peer.local)).await {
            Some(said) => (peer.source, peer.local, peer.tls) = (said.source, said.local, said.tls),
            None => return Err(turned_away(worker, Ended::BadProxyHeader)),
        }
        flow.client = peer.source;
        if !held.count_for(tier, peer.listener, peer.source) {
            refuse::prepare(rules.refusal, &tcp);
            return Err(Ended::TurnedAway);
        }
    }
    let mut target = rules.target;
    if let Some(rules) = &rules.sni {
        let begun = begun(worker, &tcp, rules, peer, flow).await?;
        if let Beginning::Tls(hello) = &begun {
            target = rules.find(hello).unwrap_or(target);
            flow.sni.clone_from(&hello.server_name);
        }
        if target == Target::Close {
            hello::refuse(worker, tcp, &begun).await;
            return Err(turned_away(worker, Ended::NoRule));
        }
    }
    let id = match target {
        Target::Upstream(id) => id,
        Target::Listener(id) => return Ok(Entered::Listener(tcp, id)),
        Target::Close => return Err(turned_away(worker, Ended::NoRule)),
    };
    let Some(tls) = tier.listener_tls(at) else {
        return Ok(Entered::Upstream(Io::Tcp(tcp), id));
    };
    match accept(tcp, tls, listener.timeouts.head).await {
        Ok((stream, agreed)) => {
            flow.sni.clone_from(&agreed.facts.sni);
            peer.tls = Some(agreed.facts);
            Ok(Entered::Upstream(Io::Tls(Box::new(stream.into())), id))
        }
        Err(HandshakeError::Left) => Err(Ended::ClientClosed),
        Err(why) => {
            let (source, name) = (peer.source, &listener.name);
            tracing::debug!(%source, listener = %name, "no TLS handshake: {why}");
            Err(turned_away(worker, Ended::TlsFailed))
        }
    }
}

/// How a connection begins.
async fn begun(
    worker: &Worker,
    tcp: &TcpStream,
    rules: &SniRules,
    peer: &Peer,
    flow: &Flow,
) -> Result<Beginning, Ended> {
    let why = match hello::look(worker, tcp, rules).await {
        Ok(begun) => return Ok(begun),
        Err(why) => why,
    };
    let ended = match &why {
        NoBeginning::Left => return Err(Ended::ClientClosed),
        NoBeginning::Io(_) => return Err(Ended::ClientReset),
        NoBeginning::Timeout => Ended::HelloTimeout,
        NoBeginning::Cut | NoBeginning::Malformed(_) => Ended::BadHello,
    };
    let source = peer.source;
    tracing::debug!(%source, listener = %flow.listener, "connection refused: {why}");
    Err(turned_away(worker, ended))
}

fn turned_away(worker: &Worker, ended: Ended) -> Ended {
    count(&worker.stats.turned_away);
    ended
}

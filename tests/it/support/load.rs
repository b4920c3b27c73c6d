//! A steady stream of queries over UDP: so many are under way at any time, and each answer is counted.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// When nothing comes for so long, what is under way is lost.
const LOST_AFTER: Duration = Duration::from_secs(3);

/// What became of the queries.
#[derive(Debug, Default)]
pub struct Stream {
    /// Queries sent.
    pub sent: u64,
    /// Answers without error and with records.
    pub answered: u64,
    /// Answers of other kinds.
    pub other: u64,
    /// For each answer: when its query was sent, and how long it took.
    pub times: Vec<(Instant, Duration)>,
}

impl Stream {
    /// The time that `share` of the answers to queries sent between `from` and `to` did not exceed;
    /// zero without any.
    #[allow(dead_code, reason = "for the bench, which shares this code")]
    pub fn quantile(&self, share: f64, from: Instant, to: Instant) -> Duration {
        let inside = self.times.iter().filter(|(at, _)| *at >= from && *at < to);
        let mut times: Vec<Duration> = inside.map(|(_, took)| *took).collect();
        times.sort_unstable();
        let at = (times.len() as f64 * share) as usize;
        times
            .get(at.min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }
}

/// Sends the queries of `packets` in turn, `window` under way at once, until `done`; then waits for
/// the last answers. A query that gets none keeps its place in the window, and is missing in the end.
pub fn stream(
    server: SocketAddr,
    packets: &[Vec<u8>],
    window: u16,
    mut done: impl FnMut(&Stream) -> bool,
) -> Stream {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(LOST_AFTER)).unwrap();
    let mut out = Stream::default();
    let mut sent_at = vec![Instant::now(); usize::from(window)];
    let mut queries = packets.iter().cycle();
    let mut under_way = 0;
    let mut packet = Vec::new();
    let mut send = |slot: u16, out: &mut Stream, sent_at: &mut Vec<Instant>| {
        packet.clear();
        packet.extend_from_slice(queries.next().unwrap());
        packet[..2].copy_from_slice(&slot.to_be_bytes());
        sent_at[usize::from(slot)] = Instant::now();
        socket.send(&packet).unwrap();
        out.sent += 1;
    };
    for slot in 0..window {
        send(slot, &mut out, &mut sent_at);
        under_way += 1;
    }
    let mut stopping = false;
    let mut room = [0; 4096];
    while under_way > 0 {
        let Ok(len) = socket.recv(&mut room) else {
            break;
        };
        let answer = &room[..len];
        let slot = u16::from_be_bytes([answer[0], answer[1]]);
        let at = sent_at[usize::from(slot)];
        out.times.push((at, at.elapsed()));
        let (rcode, records) = (answer[3] & 15, u16::from_be_bytes([answer[6], answer[7]]));
        if rcode == 0 && records > 0 {
            out.answered += 1;
        } else {
            out.other += 1;
        }
        stopping |= done(&out);
        if stopping {
            under_way -= 1;
        } else {
            send(slot, &mut out, &mut sent_at);
        }
    }
    out
}

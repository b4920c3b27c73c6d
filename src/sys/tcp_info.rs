//! What the kernel knows of a TCP connection: `getsockopt(TCP_INFO)`.
//!
//! The kernel's structure grows at its end, and the one of libc is that of an old kernel. So this is
//! our own, and what the kernel says it wrote decides which fields there are.

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// `struct tcp_info` of `linux/tcp.h` (Linux 5.4 and later; older kernels write less of it).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Raw {
    /// State, congestion state, retransmits, probes, backoff, options, window scales, flags.
    octets: [u8; 8],
    /// Time-outs and segment sizes.
    rto_ato_mss: [u32; 4],
    /// Unacknowledged, SACKed, lost, retransmitted and forward-acknowledged segments in flight.
    in_flight: [u32; 5],
    /// Milliseconds since data and acknowledgements went and came.
    last: [u32; 4],
    pmtu: u32,
    rcv_ssthresh: u32,
    /// Microseconds.
    rtt: u32,
    /// Microseconds.
    rttvar: u32,
    snd_ssthresh: u32,
    snd_cwnd: u32,
    advmss: u32,
    reordering: u32,
    rcv_rtt: u32,
    rcv_space: u32,
    total_retrans: u32,
    pacing_rate: u64,
    max_pacing_rate: u64,
    bytes_acked: u64,
    bytes_received: u64,
    segs_out: u32,
    segs_in: u32,
    notsent_bytes: u32,
    /// Microseconds; all ones: none yet.
    min_rtt: u32,
    data_segs_in: u32,
    data_segs_out: u32,
    /// Octets per second.
    delivery_rate: u64,
    busy_time: u64,
    rwnd_limited: u64,
    sndbuf_limited: u64,
    delivered: u32,
    delivered_ce: u32,
    bytes_sent: u64,
    bytes_retrans: u64,
}

// Where `linux/tcp.h` has them.
const _: () = assert!(offset_of!(Raw, rtt) == 68);
const _: () = assert!(offset_of!(Raw, total_retrans) == 100);
const _: () = assert!(offset_of!(Raw, min_rtt) == 148);
const _: () = assert!(offset_of!(Raw, delivery_rate) == 160);
const _: () = assert!(offset_of!(Raw, bytes_retrans) == 208);
const _: () = assert!(size_of::<Raw>() == 216);

/// What the kernel knows of a connection. What an old kernel does not tell is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpInfo {
    /// Smoothed round-trip time; zero: not measured yet.
    pub rtt: Duration,
    /// Its mean deviation.
    pub rtt_var: Duration,
    /// The lowest round-trip time of the last minutes.
    pub min_rtt: Option<Duration>,
    /// Segments that were sent again, of the whole connection.
    pub retransmits: u32,
    /// Segments that were sent, all kinds together.
    pub segments_out: Option<u32>,
    /// Segments with data that were sent, those sent again among them.
    pub data_segments_out: Option<u32>,
    /// Octets per second that lately reached the other end.
    pub delivery_rate: Option<u64>,
    /// Octets that were sent, those sent again among them.
    pub octets_sent: Option<u64>,
    /// Octets that were sent again.
    pub octets_retransmitted: Option<u64>,
}

/// What the kernel knows of the connection of a TCP socket.
///
/// # Errors
/// When the socket is no TCP socket, or the kernel tells less than a round-trip time.
pub fn tcp_info(socket: &impl AsFd) -> io::Result<TcpInfo> {
    let mut raw = Raw::default();
    let mut length = size_of::<Raw>() as libc::socklen_t;
    // SAFETY: the descriptor is borrowed and so open; the kernel writes at most `length` octets into
    // `raw`, which has that many and for which every bit pattern is a value, and says how many.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut raw).cast(),
            &raw mut length,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    raw.read(length as usize).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "the kernel tells less of TCP than a round-trip time",
        )
    })
}

impl Raw {
    /// What the first `length` octets say.
    fn read(&self, length: usize) -> Option<TcpInfo> {
        let micros = |n: u32| Duration::from_micros(u64::from(n));
        /// The field, when it ends within what was written.
        macro_rules! told {
            ($field:ident, $type:ty) => {
                (length >= offset_of!(Raw, $field) + size_of::<$type>()).then_some(self.$field)
            };
        }
        Some(TcpInfo {
            rtt: micros(told!(rtt, u32)?),
            rtt_var: micros(told!(rttvar, u32)?),
            min_rtt: told!(min_rtt, u32).filter(|n| *n != u32::MAX).map(micros),
            retransmits: told!(total_retrans, u32)?,
            segments_out: told!(segs_out, u32),
            data_segments_out: told!(data_segs_out, u32),
            delivery_rate: told!(delivery_rate, u64),
            octets_sent: told!(bytes_sent, u64),
            octets_retransmitted: told!(bytes_retrans, u64),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn a_connection_on_loopback_has_a_round_trip_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        for _ in 0..20 {
            client.write_all(b"ping").unwrap();
            server.read_exact(&mut [0; 4]).unwrap();
            server.write_all(b"pong").unwrap();
            client.read_exact(&mut [0; 4]).unwrap();
        }
        let info = tcp_info(&server).unwrap();
        assert!(info.rtt > Duration::ZERO && info.rtt < Duration::from_secs(1));
        assert!(info.min_rtt.unwrap() <= info.rtt * 2, "{info:?}");
        assert_eq!((info.retransmits, info.octets_retransmitted), (0, Some(0)));
        assert_eq!(info.octets_sent, Some(80));
        assert_eq!(info.data_segments_out, Some(20));
        assert!(info.segments_out >= info.data_segments_out);
    }

    #[test]
    fn what_is_no_tcp_socket_has_none() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(tcp_info(&socket).is_err());
    }

    #[test]
    fn a_kernel_that_tells_less_is_believed_as_far_as_it_goes() {
        let raw = Raw {
            rtt: 1500,
            rttvar: 300,
            total_retrans: 2,
            min_rtt: 1000,
            data_segs_out: 9,
            ..Raw::default()
        };
        // Linux 2.6 ends behind the retransmits, 4.6 behind the data segments.
        let old = raw.read(104).unwrap();
        assert_eq!((old.rtt, old.retransmits), (Duration::from_micros(1500), 2));
        assert_eq!((old.min_rtt, old.data_segments_out), (None, None));
        let newer = raw.read(160).unwrap();
        assert_eq!(newer.min_rtt, Some(Duration::from_millis(1)));
        assert_eq!(
            (newer.data_segments_out, newer.delivery_rate),
            (Some(9), None)
        );
        assert_eq!(raw.read(103), None, "a field cut short is none");
        let unmeasured = Raw {
            min_rtt: u32::MAX,
            ..raw
        };
        assert_eq!(unmeasured.read(216).unwrap().min_rtt, None);
    }
}

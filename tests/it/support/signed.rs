//! A server of signed zones inside the test: its keys are the test's own, and the test publishes its
//! views.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use hickory_proto::dnssec::DigestType;
use hickory_proto::dnssec::crypto::Digest;
use tempfile::TempDir;
use tokio::sync::watch;

use tradewind::app::clock::RealClock;
use tradewind::app::load::{Wanted, load_all};
use tradewind::dns::name::WireName;
use tradewind::dnssec::key::{SECURE_ENTRY_POINT, ZONE_KEY};
use tradewind::dnssec::{Algorithm, Denial, Keys, Lifetime, SignatureCache, SigningKey, ZoneKeys};
use tradewind::health::{Board, Cause, State, Verdict};
use tradewind::server::hall::{Service, TcpLimits};
use tradewind::server::proxied::Proxies;
use tradewind::server::tcp::{self, Speech};
use tradewind::server::udp;
use tradewind::server::udp::UdpServer;
use tradewind::snapshot::{Parts, Publisher, Snapshot, View};
use tradewind::telemetry::DnsCounters;
use tradewind::time::Clock;
use tradewind::units::{Generation, Ttl};

use super::node::folder;

/// A zone with everything that has to be proved.
const ZONE: &str = "\
$TTL 300
@       IN SOA ns1 hostmaster 1 3600 600 86400 60
        IN NS  ns1
        IN MX  10 www
ns1     IN A   127.0.0.1
www     IN A   192.0.2.80
www     IN A   192.0.2.7
www     IN AAAA 2001:db8::80
www     IN TXT \"hello\"
alias   IN CNAME www
alias2  IN CNAME alias
lost    IN CNAME nothing
toold   IN CNAME old
tosteer IN CNAME www2.steer
*.wild  IN A   192.0.2.99
a.b.c   IN TXT \"deep\"
plain   IN NS  ns1
safe    IN NS  ns1
";

const BELOW: &str = "\
$TTL 300
@       IN SOA ns1.gslb.test. hostmaster.gslb.test. 1 3600 600 86400 60
        IN NS  ns1.gslb.test.
x       IN A   192.0.2.81
";

const CONFIG: &str = r#"
version = 1
[regions.eu]
latitude = 50.11
longitude = 8.68
[regions.us]
latitude = 39.04
longitude = -77.49
[nodes.n1]
region = "eu"
roles = ["dns"]
dns = { listen = ["127.0.0.1:0"], workers = 1 }
[zones."gslb.test"]
file = "gslb.test.zone"
[zones."plain.gslb.test"]
file = "plain.zone"
[zones."safe.gslb.test"]
file = "safe.zone"
[pools.eu]
region = "eu"
endpoints = [
    { name = "eu-1", address = "192.0.2.1" },
    { name = "eu-1-6", address = "2001:db8::1" },
    { name = "eu-2", address = "192.0.2.2" },
    { name = "eu-2-6", address = "2001:db8::2" },
]
[pools.us]
region = "us"
endpoints = [
    { name = "us-1", address = "192.0.2.3" },
    { name = "us-1-6", address = "2001:db8::3" },
    { name = "us-2", address = "192.0.2.4" },
    { name = "us-2-6", address = "2001:db8::4" },
]
[policies.order]
stages = [{ failover = {} }, { random = {} }]
[names."app.gslb.test"]
pools = ["eu", "us"]
policy = "order"
answers = 2
[names."*.steer.gslb.test"]
pools = ["eu", "us"]
policy = "order"
"#;

/// A key pair with these flags.
pub fn key(algorithm: Algorithm, flags: u16) -> Arc<SigningKey> {
    let secret = SigningKey::generate(algorithm).unwrap();
    Arc::new(SigningKey::from_pkcs8(algorithm, flags, &secret).unwrap())
}

/// The keys of a zone: a KSK and a ZSK.
pub fn zone_keys(zone: &str, algorithm: Algorithm, denial: Denial) -> ZoneKeys {
    let ksk = key(algorithm, ZONE_KEY | SECURE_ENTRY_POINT);
    let zsk = key(algorithm, ZONE_KEY);
    let mut dnskey: Vec<Box<[u8]>> = vec![ksk.dnskey().into(), zsk.dnskey().into()];
    dnskey.sort();
    ZoneKeys {
        apex: zone.parse().unwrap(),
        generation: 1,
        dnskey,
        cds: Vec::new(),
        cdnskey: Vec::new(),
        ttl: Ttl::from_secs(300),
        key_signing: vec![ksk],
        zone_signing: vec![zsk],
        denial,
        lifetime: Lifetime::default(),
    }
}

/// A running server.
pub struct Signed {
    /// Configuration and whatever a validator needs.
    pub dir: TempDir,
    /// UDP and TCP.
    pub addr: SocketAddr,
    /// What the workers count.
    pub counters: Arc<DnsCounters>,
    /// The keys of `gslb.test`.
    pub keys: Mutex<ZoneKeys>,
    below: ZoneKeys,
    snapshot: Arc<Snapshot>,
    signatures: Arc<SignatureCache>,
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    _udp: UdpServer,
    _runtime: tokio::runtime::Runtime,
    _stop: watch::Sender<bool>,
}

impl Signed {
    /// Serves `gslb.test` and `safe.gslb.test`, signed, and `plain.gslb.test`, not signed.
    pub fn start(algorithm: Algorithm, denial: Denial) -> Signed {
        let keys = zone_keys("gslb.test", algorithm, denial);
        let below = zone_keys("safe.gslb.test", algorithm, denial);
        let dir = folder(CONFIG);
        let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        file(
            "gslb.test.zone",
            &format!("{ZONE}safe IN DS {}\n", ds(&below)),
        );
        file("plain.zone", BELOW);
        file("safe.zone", BELOW);
        let wanted = Wanted {
            config: dir.path().join("tradewind.toml"),
            node: Some("n1".to_owned()),
            ..Wanted::default()
        };
        let loaded = load_all(&wanted).unwrap_or_else(|r| panic!("{r}"));
        let snapshot = loaded.compiled.snapshot;
        let clock: Arc<dyn Clock> = Arc::new(RealClock::start());
        let signatures: Arc<SignatureCache> = Arc::default();
        let first = view(&snapshot, &[&keys, &below], &signatures, &*clock, 1, &[]);
        let publisher = Publisher::new(first);
        let (udp_bound, listener) = (0..16)
            .find_map(|_| {
                let udp = udp::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
                let tcp = tcp::bind(udp.local_addr()).ok()?;
                Some((udp, tcp))
            })
            .expect("a port that is free for UDP and TCP");
        let addr = udp_bound.local_addr();
        let counters = Arc::new(DnsCounters::default());
        let udp = udp_bound
            .start(&publisher, &clock, vec![counters.clone()])
            .unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (stop, stopped) = watch::channel(false);
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).unwrap()
        };
        let service = Service {
            publisher: publisher.clone(),
            clock: clock.clone(),
            counters: Arc::new(DnsCounters::default()),
            open: Arc::new(AtomicU64::new(0)),
            limits: TcpLimits::default(),
            proxies: Proxies::new([]),
            stopped,
            left: watch::channel(false).1,
            taps: tradewind::server::tap::Taps::default(),
        };
        runtime.spawn(tcp::serve(listener, service, Speech::Tcp));
        Signed {
            dir,
            addr,
            counters,
            keys: Mutex::new(keys),
            below,
            snapshot,
            signatures,
            publisher,
            clock,
            _udp: udp,
            _runtime: runtime,
            _stop: stop,
        }
    }

    /// Publishes a view in which the endpoints whose name starts with one of `dead` are down.
    pub fn publish(&self, dead: &[&str]) {
        let generation = self.publisher.latest().generation.0 + 1;
        let keys = self.keys.lock().unwrap();
        let all = [&*keys, &self.below];
        let view = view(
            &self.snapshot,
            &all,
            &self.signatures,
            &*self.clock,
            generation,
            dead,
        );
        assert!(self.publisher.publish(view));
    }

    /// The trust anchor in the form of a zone file.
    pub fn anchor(&self) -> String {
        let keys = self.keys.lock().unwrap();
        let ksk = keys.key_signing[0].dnskey();
        format!(
            "gslb.test. 300 IN DNSKEY 257 3 {} {}\n",
            ksk[3],
            base64(&ksk[4..])
        )
    }

    /// Writes a file beside the configuration; gives its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Key tag, algorithm, digest type and digest of the DS record of a zone's KSK.
pub fn ds(keys: &ZoneKeys) -> String {
    let ksk = &keys.key_signing[0];
    let apex: &WireName = &keys.apex;
    let covered = [apex.as_bytes(), ksk.dnskey()].concat();
    let digest = Digest::new(&covered, DigestType::SHA256).unwrap();
    let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("{} {} 2 {hex}", ksk.tag(), ksk.algorithm().number())
}

fn view(
    snapshot: &Arc<Snapshot>,
    keys: &[&ZoneKeys],
    signatures: &Arc<SignatureCache>,
    clock: &dyn Clock,
    generation: u64,
    dead: &[&str],
) -> View {
    let verdicts = snapshot.steering.endpoints.iter().map(|e| {
        let mut v = Verdict::unmonitored();
        if dead.iter().any(|d| e.name.starts_with(d)) {
            v.state = State::Down;
            v.cause = Cause::Failing("connect failed".into());
        }
        v
    });
    let zones = keys
        .iter()
        .map(|k| (k.apex.clone(), Arc::new((*k).clone())));
    let parts = Parts {
        keys: Arc::new(Keys {
            zones: zones.collect(),
        }),
        signatures: signatures.clone(),
        wall: clock.wall(),
        ..Parts::new(snapshot.clone(), Arc::new(Board::new(verdicts.collect())))
    };
    View::new(Generation(generation), clock.now(), parts)
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |b, i| b << 8 | u32::from(*three.get(i).unwrap_or(&0)));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= three.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

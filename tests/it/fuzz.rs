//! The fuzz targets over their committed corpora, and over mutations of them; `tests/fuzz/run` lets
//! libFuzzer at the same targets.

use std::time::{Duration, Instant};

use crate::support::demo::package;

#[path = "../fuzz/checks/mod.rs"]
mod checks;

/// A fixed sequence, so that a failure can be repeated.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

fn mutated(seed: &[u8], other: &[u8], s: &mut Sequence) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=s.below(4) {
        let at = s.below(bytes.len() + 1);
        match s.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, s.below(256) as u8),
            2 if at < bytes.len() => bytes[at] ^= 1 << s.below(8),
            3 if at < bytes.len() => bytes[at] = [0, 1, 0x3f, 0x40, 0xc0, 0xff][s.below(6)],
            4 => {
                let from = s.below(other.len());
                let end = (from + s.below(40)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            _ => {
                let end = (at + s.below(8)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes
}

fn over_corpus(target: &str) {
    let (_, check) = checks::ALL
        .iter()
        .find(|(name, _)| *name == target)
        .unwrap();
    let folder = package().join("tests/fuzz/corpus").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|p| std::fs::read(p).unwrap()).collect();
    assert!(seeds.len() >= 3, "a corpus of {}", seeds.len());
    for seed in &seeds {
        check(seed);
    }
    let mut s = Sequence(0x9E37_79B9_7F4A_7C15);
    let end = Instant::now() + Duration::from_secs(2);
    let mut runs = 0;
    while runs < 20_000 && Instant::now() < end {
        let (seed, other) = (&seeds[s.below(seeds.len())], &seeds[s.below(seeds.len())]);
        check(&mutated(seed, other, &mut s));
        runs += 1;
    }
    assert!(runs > 0);
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { over_corpus(stringify!($name)); })*

        #[test]
        fn every_target_is_run_here_and_by_libfuzzer() {
            let mut here = [$(stringify!($name)),*];
            let mut all: Vec<&str> = checks::ALL.iter().map(|(name, _)| *name).collect();
            here.sort_unstable();
            all.sort_unstable();
            assert_eq!(all, here);
            let manifest = std::fs::read_to_string(package().join("tests/fuzz/Cargo.toml")).unwrap();
            for name in here {
                assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
            }
        }
    };
}

targets! { query edns zone config mmdb networks proxy fleet push order history forwarded http_request http_response http_chunked tls_hello quic trace_context }

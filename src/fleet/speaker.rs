//! What a vantage tells, and when: its word cut into chunks, and of these only the ones that say
//! something new.
//!
//! Pure: time is an argument, and what is to be published comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::protocol::chunk::{chunk_of, chunks_for};
use super::protocol::{Chunk, Heartbeat};
use crate::health::{CheckKey, OwnWord, Vote};
use crate::time::Moment;

/// Time between two signs of life.
pub const HEARTBEAT: Duration = Duration::from_secs(2);

/// What changes without anybody waiting for it, such as failure counts, is told this often.
const REFRESH: Duration = Duration::from_secs(60);

/// Round-trip times of a chunk are told at most this often.
const RTT_PACE: Duration = Duration::from_secs(10);

/// A time that moved by less than this, and by less than a twentieth, is no news.
const RTT_NEWS: Duration = Duration::from_millis(1);

/// A key and what to publish under it; empty: retire it.
pub type Saying = (String, String);

/// One kind of chunk as last told.
#[derive(Clone, Debug)]
struct Told<T> {
    at: Moment,
    chunk: Chunk<T>,
}

/// Remembers what was told.
#[derive(Debug, Default)]
pub struct Speaker {
    votes: BTreeMap<u16, Told<Vote>>,
    rtts: BTreeMap<u16, Told<Duration>>,
    beats: u64,
    last_beat: Option<Moment>,
    blind: bool,
}

impl Speaker {
    /// What is to be told at `now`. The word must be sorted by key.
    pub fn say(&mut self, word: &OwnWord, now: Moment) -> Vec<Saying> {
        let mut out = Vec::new();
        let news = |told: &Told<Vote>, new: &Chunk<Vote>| {
            let old = &told.chunk;
            let same = old.of == new.of && old.records.len() == new.records.len();
            let mut pairs = old.records.iter().zip(&new.records);
            !same || pairs.any(|(a, b)| a.0 != b.0 || a.1.opinion != b.1.opinion)
        };
        // An opinion that changed is never held back: the bus itself paces what goes out.
        speak(
            "v",
            &word.votes,
            &mut self.votes,
            now,
            news,
            &mut out,
            |c| c.encode(),
        );
        let news = |told: &Told<Duration>, new: &Chunk<Duration>| {
            let old = &told.chunk;
            let same = old.of == new.of && old.records.len() == new.records.len();
            let mut pairs = old.records.iter().zip(&new.records);
            let moved = |a: Duration, b: Duration| a.abs_diff(b) > RTT_NEWS.max(a / 20);
            let changed = !same || pairs.any(|(a, b)| a.0 != b.0 || moved(a.1, b.1));
            changed && now.since(told.at) >= RTT_PACE
        };
        speak("r", &word.rtts, &mut self.rtts, now, news, &mut out, |c| {
            c.encode()
        });
        let due = self.last_beat.is_none_or(|at| now.since(at) >= HEARTBEAT);
        if due || self.blind != word.blind {
            self.beats += 1;
            self.last_beat = Some(now);
            self.blind = word.blind;
            let beat = Heartbeat {
                count: self.beats,
                blind: word.blind,
            };
            out.push(("hb".to_owned(), beat.encode()));
        }
        out
    }
}

/// One kind of chunk.
fn speak<T: Copy + PartialEq>(
    prefix: &str,
    word: &[(CheckKey, T)],
    told: &mut BTreeMap<u16, Told<T>>,
    now: Moment,
    is_news: impl Fn(&Told<T>, &Chunk<T>) -> bool,
    out: &mut Vec<Saying>,
    encode: impl Fn(&Chunk<T>) -> String,
) {
    if word.is_empty() && told.is_empty() {
        return;
    }
    let of = chunks_for(word.len());
    let mut chunks: Vec<Chunk<T>> = (0..of)
        .map(|_| Chunk {
            of,
            records: Vec::new(),
        })
        .collect();
    for (key, value) in word {
        let chunk = &mut chunks[usize::from(chunk_of(*key, of))];
        chunk.records.push((*key, *value));
    }
    for (n, chunk) in (0..of).zip(chunks) {
        let tell = match told.get(&n) {
            None => true,
            Some(old) => {
                is_news(old, &chunk) || (now.since(old.at) >= REFRESH && old.chunk != chunk)
            }
        };
        if tell {
            out.push((format!("{prefix}/{n}"), encode(&chunk)));
            told.insert(n, Told { at: now, chunk });
        }
    }
    for gone in told.split_off(&of).into_keys() {
        out.push((format!("{prefix}/{gone}"), String::new()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Opinion, Weakness};

    const DOWN: Opinion = Opinion::Down(Weakness::Timeout);

    fn word(checks: u64, opinion: impl Fn(u64) -> Opinion) -> OwnWord {
        OwnWord {
            votes: (0..checks)
                .map(|k| {
                    let opinion = opinion(k);
                    (
                        CheckKey(k),
                        Vote {
                            opinion,
                            failures: 0,
                        },
                    )
                })
                .collect(),
            rtts: (0..checks)
                .map(|k| (CheckKey(k), Duration::from_millis(20)))
                .collect(),
            blind: false,
        }
    }

    fn keys(said: &[Saying]) -> Vec<&str> {
        said.iter().map(|(k, _)| k.as_str()).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_the_chunk_with_a_changed_vote_is_told_again() {
        let mut s = Speaker::default();
        let mut now = Moment::ZERO;
        let first = s.say(&word(100, |_| Opinion::Up), now);
        assert_eq!(first.len(), 4 + 4 + 1, "{:?}", keys(&first));
        now = now + SECOND;
        assert_eq!(s.say(&word(100, |_| Opinion::Up), now), []);
        now = now + SECOND / 2;
        let changed = word(100, |k| if k == 7 { DOWN } else { Opinion::Up });
        assert_eq!(keys(&s.say(&changed, now)), ["v/3"]);
        now = now + SECOND;
        assert_eq!(keys(&s.say(&changed, now)), ["hb"]);
    }

    #[test]
    fn counts_of_failures_wait_for_the_slow_refresh() {
        let mut s = Speaker::default();
        let mut w = word(10, |_| DOWN);
        s.say(&w, Moment::ZERO);
        w.votes[0].1.failures = 3;
        let beats = |said: Vec<Saying>| said.into_iter().all(|(k, _)| k == "hb");
        assert!(beats(s.say(&w, Moment::ZERO + 59 * SECOND)));
        assert_eq!(keys(&s.say(&w, Moment::ZERO + 61 * SECOND)), ["v/0", "hb"]);
    }

    #[test]
    fn times_are_told_when_they_moved_and_not_too_often() {
        let mut s = Speaker::default();
        let mut w = word(10, |_| Opinion::Up);
        s.say(&w, Moment::ZERO);
        w.rtts[0].1 += Duration::from_micros(900);
        assert_eq!(keys(&s.say(&w, Moment::ZERO + 20 * SECOND)), ["hb"]);
        w.rtts[0].1 += Duration::from_millis(5);
        assert_eq!(keys(&s.say(&w, Moment::ZERO + 21 * SECOND)), ["r/0"]);
        w.rtts[0].1 += Duration::from_millis(5);
        assert_eq!(keys(&s.say(&w, Moment::ZERO + 25 * SECOND)), ["hb"]);
        assert_eq!(keys(&s.say(&w, Moment::ZERO + 31 * SECOND)), ["r/0", "hb"]);
    }

    #[test]
    fn chunks_that_are_no_more_are_retired() {
        let mut s = Speaker::default();
        s.say(&word(200, |_| Opinion::Up), Moment::ZERO);
        let said = s.say(&word(40, |_| Opinion::Up), Moment::ZERO + SECOND);
        let retired: Vec<_> = said.iter().filter(|(_, v)| v.is_empty()).collect();
        assert_eq!(retired.len(), 7 + 7, "{:?}", keys(&said));
    }

    #[test]
    fn blindness_is_told_at_once() {
        let mut s = Speaker::default();
        let mut w = word(1, |_| Opinion::Up);
        s.say(&w, Moment::ZERO);
        w.blind = true;
        assert_eq!(
            s.say(&w, Moment::ZERO + SECOND / 10),
            [("hb".to_owned(), "1 2 blind".to_owned())]
        );
    }

    #[test]
    fn f7_everything_failing_at_once_is_told_in_as_many_octets_as_a_start() {
        let mut s = Speaker::default();
        let octets = |said: &[Saying]| said.iter().map(|(_, v)| v.len()).sum::<usize>();
        let votes = |said: Vec<Saying>| -> Vec<Saying> {
            said.into_iter()
                .filter(|(k, _)| k.starts_with('v'))
                .collect()
        };
        let start = votes(s.say(&word(5000, |_| Opinion::Up), Moment::ZERO));
        let failing = votes(s.say(&word(5000, |_| DOWN), Moment::ZERO + SECOND));
        assert_eq!(octets(&start), octets(&failing));
    }
}

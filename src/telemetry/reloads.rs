//! What is counted of reloads of the configuration.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Metrics, Page};

/// How a reload ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reload {
    /// The new configuration is served.
    Adopted,
    /// The new configuration is wrong.
    Refused,
    /// It could not be tried.
    Failed,
}

const WORDS: [&str; 3] = ["adopted", "refused", "failed"];

/// Counters of reloads; one for the process.
#[derive(Debug, Default)]
pub struct ReloadStats {
    ended: [AtomicU64; WORDS.len()],
    last_failed: AtomicBool,
    /// Unix time in seconds.
    loaded_at: AtomicU64,
}

impl ReloadStats {
    /// Of a process that has loaded its configuration at `unix`, in seconds since 1970.
    pub fn loaded_at(unix: u64) -> ReloadStats {
        ReloadStats {
            loaded_at: AtomicU64::new(unix),
            ..ReloadStats::default()
        }
    }

    /// Counts a reload that ended at `unix`, in seconds since 1970.
    pub fn count(&self, how: Reload, unix: u64) {
        self.ended[how as usize].fetch_add(1, Ordering::Relaxed);
        let adopted = how == Reload::Adopted;
        self.last_failed.store(!adopted, Ordering::Relaxed);
        if adopted {
            self.loaded_at.store(unix, Ordering::Relaxed);
        }
    }
}

impl Metrics for ReloadStats {
    fn render(&self, page: &mut Page) {
        let name = "tradewind_config_reloads_total";
        page.family(
            name,
            "counter",
            "Reloads of the configuration, by how they ended.",
        );
        for (word, count) in WORDS.iter().zip(&self.ended) {
            let count = count.load(Ordering::Relaxed);
            page.sample(name, &format!("outcome=\"{word}\""), count);
        }
        let name = "tradewind_config_last_reload_successful";
        page.family(
            name,
            "gauge",
            "1: the last reload was adopted, or there was none yet; 0: the files are not what is served.",
        );
        let failed = self.last_failed.load(Ordering::Relaxed);
        page.sample(name, "", u64::from(!failed));
        let name = "tradewind_config_loaded_timestamp_seconds";
        page.family(
            name,
            "gauge",
            "When the configuration in force was loaded, in Unix time.",
        );
        page.sample(name, "", self.loaded_at.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_reload_is_seen_until_one_is_adopted() {
        let stats = ReloadStats::loaded_at(100);
        let text = || {
            let mut page = Page::default();
            stats.render(&mut page);
            page.into_text()
        };
        assert!(text().contains("tradewind_config_last_reload_successful 1\n"));
        stats.count(Reload::Refused, 200);
        let refused = text();
        assert!(refused.contains("tradewind_config_reloads_total{outcome=\"refused\"} 1\n"));
        assert!(refused.contains("tradewind_config_last_reload_successful 0\n"));
        assert!(refused.contains("tradewind_config_loaded_timestamp_seconds 100\n"));
        stats.count(Reload::Adopted, 300);
        assert!(text().contains("tradewind_config_last_reload_successful 1\n"));
        assert!(text().contains("tradewind_config_loaded_timestamp_seconds 300\n"));
    }
}

//! What the process itself takes: processor time, memory, files; under the names that all programs
//! with Prometheus metrics use.

use std::fs;

use crate::telemetry::{Metrics, Page};

/// Reads `/proc/self` for every page.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::app) struct Process;

/// Clock ticks a second in `/proc` (proc(5)), the same on every Linux of today's architectures.
const TICKS: f64 = 100.0;

/// What `/proc/self` says.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Facts {
    cpu_seconds: f64,
    threads: u64,
    /// Seconds after the machine started.
    started_after: f64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

/// The fields of `/proc/self/stat` that are wanted, by proc(5). The program's name, which may hold
/// anything, ends with the last parenthesis.
fn facts(stat: &str, page_bytes: u64) -> Option<Facts> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The first one here is field 3.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Facts {
        cpu_seconds: (field(14)? + field(15)?) as f64 / TICKS,
        threads: field(20)?,
        started_after: field(22)? as f64 / TICKS,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_bytes,
    })
}

/// When the machine started, in seconds since 1970, of `/proc/stat`.
fn boot_time(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|l| l.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// The soft limit of open files, of `/proc/self/limits`.
fn most_files(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

impl Metrics for Process {
    fn render(&self, page: &mut Page) {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let page_bytes = rustix::param::page_size() as u64;
        if let Some(facts) = facts(&read("/proc/self/stat"), page_bytes) {
            let name = "process_cpu_seconds_total";
            page.family(
                name,
                "counter",
                "Processor time, of user and system, in seconds.",
            );
            page.sample(name, "", facts.cpu_seconds);
            let name = "process_resident_memory_bytes";
            page.family(name, "gauge", "Memory in use, in bytes.");
            page.sample(name, "", facts.resident_bytes);
            let name = "process_virtual_memory_bytes";
            page.family(name, "gauge", "Address space in use, in bytes.");
            page.sample(name, "", facts.virtual_bytes);
            let name = "process_threads";
            page.family(name, "gauge", "Threads of the process.");
            page.sample(name, "", facts.threads);
            if let Some(boot) = boot_time(&read("/proc/stat")) {
                let name = "process_start_time_seconds";
                page.family(name, "gauge", "When the process started, in Unix time.");
                page.sample(name, "", boot + facts.started_after);
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            let name = "process_open_fds";
            page.family(name, "gauge", "Open file descriptors.");
            // Less the one that reads the folder.
            page.sample(name, "", open.count().saturating_sub(1));
        }
        if let Some(most) = most_files(&read("/proc/self/limits")) {
            let name = "process_max_fds";
            page.family(name, "gauge", "File descriptors that may be open at once.");
            page.sample(name, "", most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 5 0 1000 4096 3 1 1";
        assert_eq!(
            facts(stat, 4096),
            Some(Facts {
                cpu_seconds: 2.0,
                threads: 5,
                started_after: 10.0,
                virtual_bytes: 4096,
                resident_bytes: 3 * 4096,
            })
        );
        assert_eq!(facts("7 (cut off) R 1", 4096), None);
        assert_eq!(
            boot_time("cpu 1 2\nbtime 1700000000\n"),
            Some(1_700_000_000.0)
        );
        let limits =
            "Limit  Soft Hard\nMax open files            1024                 4096  files\n";
        assert_eq!(most_files(limits), Some(1024));
        assert_eq!(
            most_files("Max open files  unlimited unlimited files\n"),
            None
        );
    }

    #[test]
    fn this_process_has_all_of_it() {
        let mut page = Page::default();
        Process.render(&mut page);
        let text = page.into_text();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_threads",
            "process_start_time_seconds",
            "process_open_fds",
        ] {
            let prefix = format!("{name} ");
            let value = text.lines().find_map(|l| l.strip_prefix(&prefix));
            let value: f64 = value.and_then(|v| v.parse().ok()).unwrap_or(-1.0);
            assert!(value >= 0.0, "{name}: {text}");
        }
    }
}

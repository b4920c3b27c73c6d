//! How many files and sockets this process may have open, and what share of them probes get.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Probes under way at once, at least and at most. One over HTTP takes about 17 KiB, so that the most
/// stay below 300 MiB.
const PROBES: (u64, u64) = (64, 12_288);

/// Raises the limit to what the system allows this process, and says what it is.
pub(super) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => wanted,
        // Nothing depends on having more: probes get their share of what there is.
        Err(e) => {
            tracing::warn!(error = %e, "the limit of open files cannot be raised");
            limit
        }
    };
    now.current.unwrap_or(u64::MAX)
}

/// Probes that may be under way at once when so many files may be open: half of them, since DNS over
/// TCP, the API and zones need theirs.
pub(super) fn for_probes(open_files: u64) -> usize {
    let (least, most) = PROBES;
    (open_files / 2).clamp(least, most) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_get_half_of_what_may_be_open() {
        let table = [
            (0, 64),
            (1024, 512),
            (20_000, 10_000),
            (1_048_576, 12_288),
            (u64::MAX, 12_288),
        ];
        for (open_files, probes) in table {
            assert_eq!(for_probes(open_files), probes, "{open_files}");
        }
    }

    #[test]
    fn the_limit_is_raised_to_the_highest_allowed() {
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert_eq!(raise(), hard);
        assert_eq!(
            getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            hard
        );
    }
}

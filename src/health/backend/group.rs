//! What follows for an upstream as a whole: how many may be ejected, and who is used when few are left.

use std::fmt;

/// Whether one more of `all` backends may be ejected when `ejected` are: never more than `percent`
/// of them are (requirement P4). Rounded down: of one backend half is none.
pub fn may_eject(ejected: usize, all: usize, percent: u32) -> bool {
    (ejected + 1) * 100 <= percent as usize * all
}

/// How the backends of an upstream stand, those that an operator took out left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// All of them.
    pub all: usize,
    /// Known to be up.
    pub up: usize,
    /// Not yet probed.
    pub unknown: usize,
}

/// Which backends are used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Mode {
    /// Those that are up.
    #[default]
    Normal,
    /// Nobody is known to be up: those that were not probed yet as well.
    Unproven,
    /// Too few are up, and the configuration says that then all are used, whatever their state.
    Panic,
    /// None is left: every request is answered with 503.
    Nothing,
}

impl Mode {
    /// The mode in which an upstream is that uses all when less than `panic_percent` are left;
    /// 0: never.
    pub fn of(census: Census, panic_percent: u32) -> Mode {
        let left = census.up + census.unknown;
        if census.all == 0 {
            Mode::Nothing
        } else if left * 100 < panic_percent as usize * census.all {
            Mode::Panic
        } else if census.up > 0 {
            Mode::Normal
        } else if census.unknown > 0 {
            Mode::Unproven
        } else {
            Mode::Nothing
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Normal => "normal",
            Mode::Unproven => "unproven: no backend is known to be up yet",
            Mode::Panic => "panic: too few are up, so all are used",
            Mode::Nothing => "nothing: no backend can be used",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn p4_the_mode_follows_the_table() {
        let census = |all, up, unknown| Census { all, up, unknown };
        let table = [
            (census(0, 0, 0), 0, Mode::Nothing),
            (census(0, 0, 0), 100, Mode::Nothing),
            (census(4, 4, 0), 50, Mode::Normal),
            (census(4, 2, 0), 50, Mode::Normal),
            (census(4, 1, 0), 50, Mode::Panic),
            (census(4, 1, 0), 0, Mode::Normal),
            (census(4, 0, 0), 0, Mode::Nothing),
            (census(4, 0, 0), 1, Mode::Panic),
            (census(4, 0, 4), 50, Mode::Unproven),
            (census(4, 0, 1), 0, Mode::Unproven),
            (census(4, 0, 1), 50, Mode::Panic),
            (census(4, 1, 3), 50, Mode::Normal),
        ];
        for (c, panic, mode) in table {
            assert_eq!(Mode::of(c, panic), mode, "{c:?} {panic}");
        }
    }

    proptest! {
        #[test]
        fn p4_never_more_than_max_ejected_percent_are_ejected(all in 0..1000_usize, percent in 0..=100_u32) {
            let mut ejected = 0;
            while may_eject(ejected, all, percent) { ejected += 1; }
            prop_assert!(ejected * 100 <= percent as usize * all);
            prop_assert!((ejected + 1) * 100 > percent as usize * all, "as many as may be");
        }

        #[test]
        fn p4_without_a_panic_threshold_who_is_down_is_never_used(up in 0..9_usize, unknown in 0..9_usize, down in 0..9_usize) {
            let c = Census { all: up + unknown + down, up, unknown };
            prop_assert_ne!(Mode::of(c, 0), Mode::Panic);
            prop_assert_eq!(Mode::of(c, 0) == Mode::Nothing, up + unknown == 0);
        }
    }
}

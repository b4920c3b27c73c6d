//! A partition of the whole address space into ranges, with the widest uniform prefix around an
//! address as the by-product of a lookup.
//!
//! This one structure gives the client's class *and* its ECS scope. Neighbouring ranges always
//! carry different values (the builder merges equal ones), so the widest prefix around an address
//! that lies inside its range is *sound* (everything in it has one value, requirement E2) and
//! *minimal* (its parent reaches into a neighbour, which has another value, requirement E3). The
//! prefix is found from the two borders alone: it must be longer than what the address has in
//! common with the last address before the range and with the first one after it.

use std::fmt::Debug;

/// An address as an unsigned integer: `u32` for IPv4, `u128` for IPv6.
pub trait Key: Copy + Ord + Debug + Default + 'static {
    /// Bits of an address.
    const BITS: u8;
    /// The last address.
    const MAX: Self;
    /// The address after this one; wraps at the end.
    fn succ(self) -> Self;
    /// The address before this one; wraps at the start.
    fn pred(self) -> Self;
    /// The `bits` leading bits, 1 to 32 of them.
    fn top(self, bits: u8) -> usize;
    /// How many leading bits `self` and `other` share.
    fn common(self, other: Self) -> u8;
    /// The first address of the prefix of `len` bits around this one.
    fn first_of(self, len: u8) -> Self;
    /// The last address of the prefix of `len` bits around this one.
    fn last_of(self, len: u8) -> Self;
}

macro_rules! key {
    ($t:ty) => {
        impl Key for $t {
            const BITS: u8 = <$t>::BITS as u8;
            const MAX: Self = <$t>::MAX;
            #[inline]
            fn succ(self) -> Self {
                self.wrapping_add(1)
            }
            #[inline]
            fn pred(self) -> Self {
                self.wrapping_sub(1)
            }
            #[inline]
            fn top(self, bits: u8) -> usize {
                (self >> (<$t>::BITS - u32::from(bits))) as usize
            }
            #[inline]
            fn common(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
            #[inline]
            fn first_of(self, len: u8) -> Self {
                if len == 0 {
                    0
                } else {
                    self & (<$t>::MAX << (<$t>::BITS - u32::from(len)))
                }
            }
            #[inline]
            fn last_of(self, len: u8) -> Self {
                if len >= <Self as Key>::BITS {
                    self
                } else {
                    self | (<$t>::MAX >> len)
                }
            }
        }
    };
}
key!(u32);
key!(u128);

/// Fewest and most leading bits that the index of a map looks at.
const INDEX_BITS: std::ops::RangeInclusive<u8> = 10..=20;

/// One range, up to the start of the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range<K, V> {
    first: K,
    value: V,
}

/// Every address of the family mapped to a value; neighbours differ.
///
/// A lookup reads one place of the index and then a few ranges that lie side by side, each with its
/// value: with a million ranges no more cache lines and pages than with a thousand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeMap<K, V> {
    /// Ascending; the first starts at 0.
    ranges: Box<[Range<K, V>]>,
    /// For each value of the leading `bits`, the range that holds its first address; one more at
    /// the end for the last range. Narrows the search to the ranges that share these bits.
    index: Box<[u32]>,
    /// Leading bits of the index: a place for one or two ranges, so that the search is over at once; more
    /// would take memory (and cache) without sparing a step.
    bits: u8,
}

impl<K: Key, V: Copy + Eq + Debug> RangeMap<K, V> {
    /// One range over everything.
    pub fn uniform(value: V) -> Self {
        let mut b = RangeMapBuilder::new();
        b.push(K::default(), value);
        b.build()
    }

    /// The value at `addr` and the length of the widest prefix around it that has one value.
    #[inline]
    pub fn lookup(&self, addr: K) -> (V, u8) {
        let i = self.position(addr);
        let mut len = 0;
        let here = self.ranges[i];
        if i > 0 {
            len = addr.common(here.first.pred()) + 1;
        }
        if let Some(next) = self.ranges.get(i + 1) {
            len = len.max(addr.common(next.first) + 1);
        }
        (here.value, len)
    }

    /// The value at `addr`.
    #[inline]
    pub fn get(&self, addr: K) -> V {
        self.ranges[self.position(addr)].value
    }

    /// Where the search for `addr` begins. Reads the index alone; with [`RangeMap::touch`] it brings near
    /// what a look-up will read.
    #[inline]
    pub fn approach(&self, addr: K) -> usize {
        self.index[addr.top(self.bits)] as usize
    }

    /// Reads ranges around the place that [`RangeMap::approach`] gave.
    #[inline]
    pub fn touch(&self, at: usize) -> K {
        let last = self.ranges.len() - 1;
        let (here, beyond) = (self.ranges[at.min(last)], self.ranges[(at + 2).min(last)]);
        here.first.max(beyond.first)
    }

    #[inline]
    fn position(&self, addr: K) -> usize {
        let top = addr.top(self.bits);
        let lo = self.index[top] as usize;
        let hi = self.index[top + 1] as usize;
        // The range that holds `addr` is the last one that starts at or before it, and lies in lo..=hi.
        lo + self.ranges[lo + 1..=hi].partition_point(|r| r.first <= addr)
    }

    /// Number of ranges.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Never: every address is in some range.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges in order: first address, last address, value.
    pub fn iter(&self) -> impl Iterator<Item = (K, K, V)> + '_ {
        self.ranges.iter().enumerate().map(|(i, r)| {
            let last = self.first(i + 1).map_or(K::MAX, K::pred);
            (r.first, last, r.value)
        })
    }

    /// The first address of the range at `i`, where there is one.
    fn first(&self, i: usize) -> Option<K> {
        self.ranges.get(i).map(|r| r.first)
    }

    /// Heap bytes.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.ranges) + size_of_val(&*self.index)
    }

    /// Combines two partitions: at each address, `f` of both values.
    pub fn join<W: Copy + Eq + Debug, X: Copy + Eq + Debug>(
        &self,
        other: &RangeMap<K, W>,
        mut f: impl FnMut(V, W) -> X,
    ) -> RangeMap<K, X> {
        let mut b = RangeMapBuilder::new();
        let (mut i, mut j) = (0, 0);
        let mut at = K::default();
        loop {
            b.push(at, f(self.ranges[i].value, other.ranges[j].value));
            let next = match (self.first(i + 1), other.first(j + 1)) {
                (None, None) => break,
                (Some(a), None) => a,
                (None, Some(b)) => b,
                (Some(a), Some(b)) => a.min(b),
            };
            if self.first(i + 1) == Some(next) {
                i += 1;
            }
            if other.first(j + 1) == Some(next) {
                j += 1;
            }
            at = next;
        }
        b.build()
    }

    /// Maps each range's value.
    pub fn map<X: Copy + Eq + Debug>(&self, mut f: impl FnMut(V) -> X) -> RangeMap<K, X> {
        let mut b = RangeMapBuilder::new();
        for r in &self.ranges {
            b.push(r.first, f(r.value));
        }
        b.build()
    }

    /// Puts prefixes over a background; where prefixes nest, the longest wins.
    ///
    /// Equal prefixes: the later one in `prefixes` wins.
    pub fn from_prefixes(background: V, prefixes: impl IntoIterator<Item = (K, u8, V)>) -> Self {
        let mut all: Vec<(K, u8, V)> = prefixes.into_iter().collect();
        all.sort_by_key(|(k, len, _)| (k.first_of(*len), *len)); // stable: later equals stay later
        let mut b = RangeMapBuilder::new();
        b.push(K::default(), background);
        // The prefixes open at the current address, outermost first: (last address, value).
        let mut open: Vec<(K, V)> = Vec::new();
        let close_before =
            |b: &mut RangeMapBuilder<K, V>, open: &mut Vec<(K, V)>, upto: Option<K>| {
                while let Some((last, _)) = open.last().copied() {
                    if upto.is_some_and(|u| last >= u) {
                        break;
                    }
                    open.pop();
                    if last == K::MAX {
                        continue;
                    }
                    // A prefix that ends together with its parent leaves nothing of the parent.
                    let under = open.last().map_or(background, |(_, v)| *v);
                    b.push(last.succ(), under);
                }
            };
        for (key, len, value) in all {
            let first = key.first_of(len);
            close_before(&mut b, &mut open, Some(first));
            b.push(first, value);
            open.push((key.last_of(len), value));
        }
        close_before(&mut b, &mut open, None);
        b.build()
    }
}

/// Builds a [`RangeMap`] from ranges in ascending order.
#[derive(Debug)]
pub struct RangeMapBuilder<K, V> {
    ranges: Vec<Range<K, V>>,
}

impl<K: Key, V: Copy + Eq + Debug> Default for RangeMapBuilder<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Key, V: Copy + Eq + Debug> RangeMapBuilder<K, V> {
    /// Nothing yet.
    pub fn new() -> Self {
        RangeMapBuilder { ranges: Vec::new() }
    }

    /// From `start` on the value is `value`, until the next push. A push at the same start replaces
    /// the earlier one; the first start must be 0.
    pub fn push(&mut self, start: K, value: V) {
        if self.ranges.last().is_some_and(|r| r.first == start) {
            self.ranges.pop();
        }
        debug_assert!(
            self.ranges.last().is_none_or(|r| r.first < start),
            "ranges must ascend"
        );
        if self.ranges.last().is_some_and(|r| r.value == value) {
            return;
        }
        self.ranges.push(Range {
            first: start,
            value,
        });
    }

    /// The finished map.
    ///
    /// # Panics
    /// When nothing was pushed at address 0, or there are more than 2^32 ranges.
    pub fn build(self) -> RangeMap<K, V> {
        let ranges = self.ranges;
        assert!(
            ranges.first().is_some_and(|r| r.first == K::default()),
            "the first range must start at 0"
        );
        let last = u32::try_from(ranges.len() - 1).expect("fewer than 2^32 ranges fit in memory");
        let bits = (last.max(1).ilog2() as u8).clamp(*INDEX_BITS.start(), *INDEX_BITS.end());
        let mut index = Vec::with_capacity((1 << bits) + 1);
        let mut r = 0u32;
        for top in 0..1usize << bits {
            // The last range that starts at or before the first address with these leading bits.
            while let Some(next) = ranges.get(r as usize + 1)
                && (next.first.top(bits) < top
                    || next.first.top(bits) == top && next.first == next.first.first_of(bits))
            {
                r += 1;
            }
            index.push(r);
        }
        index.push(last);
        RangeMap {
            ranges: ranges.into_boxed_slice(),
            index: index.into_boxed_slice(),
            bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn a(s: &str) -> u32 {
        s.parse::<Ipv4Addr>().unwrap().into()
    }

    #[test]
    fn nested_prefixes_give_sound_and_minimal_scopes() {
        let m = RangeMap::from_prefixes("eu", [(a("1.0.0.0"), 8, "us"), (a("1.2.3.0"), 24, "ap")]);
        assert_eq!(m.lookup(a("1.2.3.4")), ("ap", 24));
        // 1.9.9.0/24 must not cover 1.2.3.0/24: 1.9 = 0000_1001 differs from 1.2 at bit 13.
        assert_eq!(m.lookup(a("1.9.9.1")), ("us", 13));
        // An unmatched client must not get scope 0.
        assert_eq!(m.lookup(a("9.9.9.9")), ("eu", 5));
    }

    #[test]
    fn uniform_has_scope_zero() {
        assert_eq!(RangeMap::<u32, u8>::uniform(7).lookup(12345), (7, 0));
    }

    #[test]
    fn edges_of_the_space() {
        let m = RangeMap::from_prefixes(0, [(0u32, 1, 0), (u32::MAX, 32, 1), (0, 32, 2)]);
        assert_eq!(m.lookup(u32::MAX), (1, 32));
        assert_eq!(m.lookup(0), (2, 32));
        assert_eq!(m.lookup(1), (0, 32));
        assert_eq!(m.lookup(2), (0, 31));
        assert_eq!(m.lookup(u32::MAX - 1), (0, 32));
    }

    #[test]
    fn many_ranges_are_found_from_end_to_end() {
        // Enough for an index of more bits than the fewest, with crowded and with empty places.
        let crowded = (0..30_000u32).map(|i| (i << 4, 28, i % 3));
        let wide = (0..30_000u32).map(|i| (i.wrapping_mul(0x9E37_79B9), 20, 3 + i % 3));
        let m = RangeMap::from_prefixes(9, crowded.chain(wide));
        assert!(m.bits > *INDEX_BITS.start() && m.len() > 50_000);
        let wider = |k: u32| u128::from(k) << 90;
        let mut b = RangeMapBuilder::new();
        for (first, last, value) in m.iter() {
            assert_eq!((m.get(first), m.get(last)), (value, value));
            b.push(wider(first), value);
        }
        let m6 = b.build();
        for (first, last, value) in m.iter() {
            assert_eq!((m6.get(wider(first)), m6.get(wider(last))), (value, value));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_longest_prefix_match(
            prefixes in proptest::collection::vec((any::<u32>(), 0u8..=32, 0u8..4), 0..40),
            addrs in proptest::collection::vec(any::<u32>(), 1..40),
        ) {
            let m = RangeMap::from_prefixes(9, prefixes.clone());
            let naive = |addr: u32| {
                let mut best: Option<(u8, u8)> = None;
                for (k, len, v) in &prefixes {
                    if addr.first_of(*len) == k.first_of(*len) && best.is_none_or(|(l, _)| *len >= l) {
                        best = Some((*len, *v));
                    }
                }
                best.map_or(9, |(_, v)| v)
            };
            let borders = prefixes.iter().flat_map(|(k, l, _)| {
                [k.first_of(*l), k.last_of(*l), k.first_of(*l).pred(), k.last_of(*l).succ()]
            });
            for addr in addrs.iter().copied().chain(borders) {
                let (v, scope) = m.lookup(addr);
                prop_assert_eq!(v, naive(addr));
                prop_assert_eq!(v, m.get(addr));
                let begin = m.approach(addr);
                prop_assert!(begin <= m.position(addr) && m.touch(begin) >= m.ranges[begin].first);
                // Sound: both ends of the scope, and every border inside it, have the same value.
                let (lo, hi) = (addr.first_of(scope), addr.last_of(scope));
                for (s, _, w) in m.iter() {
                    prop_assert!(!(s > lo && s <= hi), "range of {} starts inside the scope", w);
                }
                // Minimal: the parent reaches another value.
                if scope > 0 {
                    let (lo, hi) = (addr.first_of(scope - 1), addr.last_of(scope - 1));
                    prop_assert!(m.iter().any(|(s, _, _)| s > lo && s <= hi));
                }
            }
        }

        #[test]
        fn join_is_pointwise(
            x in proptest::collection::vec((any::<u32>(), 0u8..=32, 0u8..4), 0..20),
            y in proptest::collection::vec((any::<u32>(), 0u8..=32, 0u8..4), 0..20),
            addrs in proptest::collection::vec(any::<u32>(), 1..40),
        ) {
            let (mx, my) = (RangeMap::from_prefixes(9, x), RangeMap::from_prefixes(9, y));
            let j = mx.join(&my, |a, b| (a, b));
            for addr in addrs {
                prop_assert_eq!(j.get(addr), (mx.get(addr), my.get(addr)));
            }
        }
    }
}

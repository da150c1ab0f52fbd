//! A random generator whose sequence is the same every time.

/// SplitMix64 (Steele, Lea and Flood, 2014): one word of state, and good enough for the demo data
/// and for generated check-ins. Unlike the generators of `rand`, it is the same in every version.
///
/// Each part of the demo data has a generator with its own seed, so that a change in one part does
/// not change the others.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number from 0 up to, but not including, `end`; 0 if `end` is 0.
    ///
    /// It is the high half of a product, without a remainder: `end` is far below 2^32, so the bias
    /// is negligible.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((self.next() >> 32) * end) >> 32
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// Returns true with a probability of `chance` percent.
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

/// A choice among a few favourites and many others.
pub(crate) struct Weighted {
    /// Whole numbers, because powers and logarithms differ between the libraries of machines.
    sums: Vec<u64>,
}

impl Weighted {
    pub(crate) fn new(weights: impl Iterator<Item = u64>) -> Self {
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    pub(crate) fn pick(&self, random: &mut Random) -> usize {
        let total = self.sums.last().copied().unwrap_or_default();
        let point = random.below(total);
        self.sums.partition_point(|&sum| sum <= point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut random = Random::new(1_234_567);
        let words = [random.next(), random.next(), random.next()];
        assert_eq!(
            words,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn choices_follow_their_weights() {
        let weighted = Weighted::new([1, 0, 3].into_iter());
        let mut random = Random::new(1);
        let mut counts = [0; 3];
        for _ in 0..4000 {
            counts[weighted.pick(&mut random)] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((900..1100).contains(&counts[0]), "{counts:?}");
    }
}

use ottla_types::Uuid;

/// Randomness for one decision, drawn by the caller: the same seed and the same image give the same records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u128);

/// A sequence of numbers that follows from a seed (SplitMix64 over both halves). Good for ids and for spreading load;
/// not for secrets.
pub(crate) struct Sequence {
    low: u64,
    high: u64,
}

impl Sequence {
    pub(crate) fn new(seed: Seed) -> Self {
        let bytes = seed.0.to_le_bytes();
        let [low, high] = [0, 8].map(|at| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i])));
        Self { low, high }
    }

    pub(crate) fn next(&mut self) -> u64 {
        // Both halves step, so ids made from one seed use all of its 128 bits.
        self.low = self.low.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.high = self.high.wrapping_add(0xd1b5_4a32_d192_ed03);
        let mut mixed = self.low ^ self.high.rotate_left(32);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31) ^ self.high
    }

    /// A number below `bound`, which must not be 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from((u128::from(self.next()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end + 1);
            items.swap(end, other);
        }
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        loop {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&self.next().to_be_bytes());
            bytes[8..].copy_from_slice(&self.next().to_be_bytes());
            if let Some(id) = Uuid::from_random(bytes) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn one_seed_gives_many_different_ids_and_always_the_same() {
        let ids = |seed| {
            let mut sequence = Sequence::new(Seed(seed));
            (0..1_000).map(|_| sequence.uuid()).collect::<Vec<_>>()
        };
        assert_eq!(ids(1), ids(1));
        let all: BTreeSet<_> = [ids(0), ids(1), ids(1 << 64), ids(u128::MAX)].concat().into_iter().collect();
        assert_eq!(all.len(), 4_000);
    }

    #[test]
    fn numbers_below_a_bound_reach_all_of_it() {
        let mut sequence = Sequence::new(Seed(7));
        let seen: BTreeSet<usize> = (0..200).map(|_| sequence.below(5)).collect();
        assert_eq!(seen, (0..5).collect());
    }
}

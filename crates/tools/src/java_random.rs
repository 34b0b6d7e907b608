//! Java's generators of random numbers: what Kafka's tools send is the same for the same seed, whoever sends it.

/// `java.util.SplittableRandom`.
pub(crate) struct SplittableRandom(u64);

impl SplittableRandom {
    pub(crate) fn new(seed: i64) -> Self {
        Self(seed as u64)
    }

    fn next_32(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0x62a9_d9ed_7997_05f5);
        ((mixed ^ (mixed >> 28)).wrapping_mul(0xcb24_d0a5_c88c_35b3) >> 32) as u32
    }

    /// A number from zero up to `bound`, without it. `bound` is greater than zero.
    #[inline]
    pub(crate) fn below(&mut self, bound: i32) -> i32 {
        let bound = bound.max(1) as u32;
        if bound.is_power_of_two() {
            return (self.next_32() & (bound - 1)) as i32;
        }
        loop {
            let number = self.next_32() >> 1;
            let rest = number % bound;
            // The last numbers don't fill the range: with them the first would be too frequent.
            if number - rest + (bound - 1) <= i32::MAX as u32 {
                return rest as i32;
            }
        }
    }
}

/// `java.util.Random`.
pub(crate) struct Random(u64);

const MULTIPLIER: u64 = 0x5_deec_e66d;
const MASK: u64 = (1 << 48) - 1;

impl Random {
    pub(crate) fn new(seed: i64) -> Self {
        Self((seed as u64 ^ MULTIPLIER) & MASK)
    }

    fn next_31(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(0xb) & MASK;
        (self.0 >> 17) as u32
    }

    /// A number from zero up to `bound`, without it. `bound` is greater than zero.
    pub(crate) fn below(&mut self, bound: i32) -> i32 {
        let bound = bound.max(1) as u32;
        let first = self.next_31();
        if bound.is_power_of_two() {
            return ((u64::from(bound) * u64::from(first)) >> 31) as i32;
        }
        let mut number = first;
        loop {
            let rest = number % bound;
            if number - rest + (bound - 1) <= i32::MAX as u32 {
                return rest as i32;
            }
            number = self.next_31();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_java() {
        // As Java 17 answers `nextInt(bound)`.
        let mut random = SplittableRandom::new(0);
        let letters: String = (0..20).map(|_| char::from(b'A' + random.below(26) as u8)).collect();
        let powers: Vec<_> = (0..5).map(|_| random.below(16)).collect();
        let large: Vec<_> = (0..3).map(|_| random.below(0x6000_0001)).collect();
        assert_eq!(
            (letters.as_str(), powers, large),
            ("YQHHNEBSEPDNSEIFGAMS", vec![8, 7, 7, 4, 9], vec![264_355_739, 501_027_532, 655_298_915])
        );
        let mut random = Random::new(0);
        let letters: String = (0..20).map(|_| char::from(b'A' + random.below(26) as u8)).collect();
        let powers: Vec<_> = (0..5).map(|_| random.below(16)).collect();
        let large: Vec<_> = (0..3).map(|_| random.below(0x6000_0001)).collect();
        assert_eq!(
            (letters.as_str(), powers, large),
            ("SSXVNJHPDQDXVCRASTVY", vec![4, 5, 2, 5, 2], vec![1_514_351_260, 49_903_503, 2_977_882])
        );
    }
}

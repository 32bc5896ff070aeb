//! A Bloom filter: says of a term that it is certainly not there, in a fraction of a microsecond.

/// Bits for each term. A store may hold a hundred partitions, and every false answer costs opening
/// one: at 24 bits it is one in about 70,000 for each partition.
const BITS_PER_TERM: usize = 24;
/// Places looked at for each term. Fewer than the optimum of 16: hardly more false answers, and a
/// filter so sparse that a term which is not there is refused after 1.6 places on average.
const PLACES: u64 = 12;
/// In a filter of a few words, twelve places would hardly be different ones.
const WORDS_MIN: usize = 16;

/// A term made ready for asking any number of filters.
#[derive(Clone, Copy)]
pub struct Probe {
    place: u64,
    step: u64,
}

impl Probe {
    /// Terms may be plain counters: they are mixed here.
    pub fn new(term: u64) -> Probe {
        let place = mix(term.wrapping_add(0x9e37_79b9_7f4a_7c15));
        Probe { place, step: mix(place ^ 0xd6e8_feb8_6659_fd93) | 1 }
    }

    /// The bits of a filter of `bits` bits that are set when this term is in it.
    pub fn places(self, bits: u64) -> impl Iterator<Item = u64> {
        (0..PLACES).map(move |number| {
            let hash = self.place.wrapping_add(number.wrapping_mul(self.step));
            ((u128::from(hash) * u128::from(bits)) >> 64) as u64
        })
    }
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The filter of one sealed partition.
#[derive(Debug, PartialEq, Eq)]
pub struct Filter {
    pub words: Vec<u64>,
}

impl Filter {
    /// An empty filter for about `terms` different terms.
    pub fn for_terms(terms: usize) -> Filter {
        Filter { words: vec![0; (terms * BITS_PER_TERM).div_ceil(64).max(WORDS_MIN)] }
    }

    pub fn insert(&mut self, term: u64) {
        for place in Probe::new(term).places(self.words.len() as u64 * 64) {
            self.words[(place / 64) as usize] |= 1 << (place % 64);
        }
    }

    pub fn may_contain(&self, probe: Probe) -> bool {
        probe
            .places(self.words.len() as u64 * 64)
            .all(|place| self.words[(place / 64) as usize] & (1 << (place % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_yes_to_all_and_hardly_ever_to_others() {
        for terms in [1, 3, 100, 20_000] {
            let mut filter = Filter::for_terms(terms);
            (0..terms as u64).for_each(|term| filter.insert(term));
            assert!((0..terms as u64).all(|term| filter.may_contain(Probe::new(term))));
            if terms >= 100 {
                let wrong = (1_000_000..1_200_000).filter(|&term| filter.may_contain(Probe::new(term))).count();
                assert!(wrong <= 40, "{wrong} of 200,000 with {terms} terms");
            }
        }
    }
}

//! Mutations that keep the bounds of operations: one byte for the schedule's seed, four each.

const FOUR: usize = 4;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn four(&mut self) -> [u8; FOUR] {
        (self.next() as u32).to_le_bytes()
    }
}

/// What comes of these bytes, at most `longest` of them.
pub(crate) fn mutate(bytes: &[u8], longest: usize, seed: u32) -> Vec<u8> {
    let mut random = Random(seed.into());
    let (schedule, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let mut schedule = *schedule;
    let mut ops = rest.as_chunks::<FOUR>().0.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(ops.len());
        match random.below(8) {
            0 if !ops.is_empty() => drop(ops.remove(at)),
            1 if !ops.is_empty() => ops[at] = random.four(),
            2 if !ops.is_empty() => ops[at][random.below(FOUR)] = random.next() as u8,
            // A stretch again, somewhere else.
            3 if !ops.is_empty() => {
                let end = (at + 1 + random.below(8)).min(ops.len());
                let to = random.below(ops.len() + 1);
                let copy = ops[at..end].to_vec();
                drop(ops.splice(to..to, copy));
            }
            4 => schedule = random.next() as u8,
            5 => {
                let many = 1 + random.below(16);
                ops.extend((0..many).map(|_| random.four()));
            }
            _ => ops.insert(random.below(ops.len() + 1), random.four()),
        }
    }
    ops.truncate(longest.saturating_sub(1) / FOUR);
    let mut mutated = vec![schedule];
    mutated.extend(ops.as_flattened());
    mutated.truncate(longest);
    mutated
}

//! In how many ways a region's pieces can be put together into records.
//!
//! A region is a row of pieces in which each may belong to the one before it. A reading cuts it into records: groups of
//! neighbours whose commas add up to those of a good record, each beginning with a piece that may begin one. What
//! matters is only whether there is exactly one reading, so ways are counted up to two, in one pass over the pieces.
//! Nothing here knows bytes.

/// A piece of a region, as far as counting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its commas, as seen by what stands before it.
    pub(super) front: u64,
    /// Its commas, as seen by what stands behind it.
    pub(super) back: u64,
    /// Whether it is beyond mending: then how many commas it should have is not known.
    pub(super) damaged: bool,
    /// Whether a record may begin with it.
    pub(super) may_start: bool,
}

/// How a region can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not at all.
    None,
    /// In one way: for each record, the index behind its last piece.
    One(Vec<usize>),
    /// In more ways than one.
    Several,
}

/// Finds the borders of regions: tells of each piece whether any reading can link it to the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Links {
    /// Commas of the shortest record that may still be open behind the last piece.
    open: Option<u64>,
}

impl Links {
    /// Takes the next piece: whether it may belong to the record that the last one belongs to.
    pub(super) fn link(&mut self, part: Part, full: u64) -> bool {
        let linked = self.open.is_some_and(|sum| sum + part.front <= full.max(sum).max(part.front));
        self.open = if part.damaged {
            Some(part.back)
        } else if part.may_start {
            Some(part.front)
        } else if linked {
            self.open.map(|sum| sum + part.front)
        } else {
            None
        };
        linked
    }

    /// Forgets the last piece: nothing links to it.
    pub(super) fn cut(&mut self) {
        self.open = None;
    }
}

/// Ways to reach a place, up to two, and the last place it was reached from.
#[derive(Clone, Copy, Debug, Default)]
struct Ways {
    n: u8,
    from: usize,
}

impl Ways {
    fn add(&mut self, n: u8, from: usize) {
        if n > 0 {
            self.n = (self.n + n).min(2);
            self.from = from;
        }
    }
}

/// The starts since the last damaged piece that have the same commas before them.
#[derive(Clone, Copy, Debug)]
struct Plateau {
    sum: u64,
    ways: Ways,
}

/// The damaged piece that the coming ones may belong to.
#[derive(Clone, Copy, Debug)]
struct Damage {
    ways: Ways,
    sum: u64,
    most: u64,
}

/// Reads a region whose good records have `full` commas.
pub(super) fn read(parts: &[Part], full: u64) -> Verdict {
    let mut reached = vec![Ways::default(); parts.len() + 1];
    reached[0].n = 1;
    // Sums only grow, so that plateaus stay sorted, and the one that is wanted moves forward alone.
    let mut plateaus: Vec<Plateau> = Vec::new();
    let mut wanted = 0;
    let mut sum = 0;
    let mut damage: Option<Damage> = None;
    for (i, part) in parts.iter().enumerate() {
        if part.may_start && reached[i].n > 0 {
            match plateaus.last_mut() {
                Some(last) if last.sum == sum => last.ways.add(reached[i].n, i),
                _ => plateaus.push(Plateau { sum, ways: Ways { n: reached[i].n, from: i } }),
            }
        }
        let mut here = Ways::default();
        if part.damaged {
            let most = full.max(part.front);
            for plateau in plateaus.iter().filter(|p| sum - p.sum + part.front <= most) {
                here.add(plateau.ways.n, plateau.ways.from);
            }
            damage = Some(Damage { ways: here, sum: part.back, most: full.max(part.back) });
            plateaus.clear();
            (wanted, sum) = (0, 0);
        } else {
            sum += part.front;
            while plateaus.get(wanted).is_some_and(|p| sum - p.sum > full) {
                wanted += 1;
            }
            if let Some(plateau) = plateaus.get(wanted).filter(|p| sum - p.sum == full) {
                here = plateau.ways;
            }
            if let Some(damage) = &mut damage {
                damage.sum += part.front;
                if damage.sum <= damage.most {
                    here.add(damage.ways.n, damage.ways.from);
                }
            }
        }
        reached[i + 1] = here;
    }
    match reached[parts.len()].n {
        0 => Verdict::None,
        1 => Verdict::One(walk_back(&reached)),
        _ => Verdict::Several,
    }
}

/// The ends of the records of the only reading. What leads to it was reached in one way each.
fn walk_back(reached: &[Ways]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = reached.len() - 1;
    while at > 0 {
        ends.push(at);
        at = reached[at].from;
    }
    ends.reverse();
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(commas: u64) -> Part {
        Part { front: commas, back: commas, damaged: false, may_start: true }
    }

    fn tail(commas: u64) -> Part {
        Part { may_start: false, ..part(commas) }
    }

    fn damaged(commas: u64) -> Part {
        Part { damaged: true, ..part(commas) }
    }

    fn by_trying(parts: &[Part], full: u64) -> u64 {
        if parts.is_empty() {
            return 1;
        }
        if !parts[0].may_start {
            return 0;
        }
        let mut n = 0;
        for len in 1..=parts.len() {
            let (group, rest) = parts.split_at(len);
            let n_damaged = group.iter().filter(|p| p.damaged).count();
            let fits = match group.iter().position(|p| p.damaged) {
                None => group.iter().map(|p| p.front).sum::<u64>() == full,
                Some(at) => {
                    let before: u64 = group[..at].iter().map(|p| p.front).sum();
                    let behind: u64 = group[at + 1..].iter().map(|p| p.front).sum();
                    n_damaged == 1
                        && before + group[at].front <= full.max(group[at].front)
                        && behind + group[at].back <= full.max(group[at].back)
                }
            };
            if fits {
                n += by_trying(rest, full);
            }
        }
        n
    }

    #[test]
    fn counting_agrees_with_trying_every_way() {
        let kinds =
            [part(0), tail(0), part(1), tail(1), part(2), part(3), damaged(0), damaged(1), damaged(2), damaged(5)];
        for len in 0..=5u32 {
            for n in 0..kinds.len().pow(len) {
                let parts: Vec<Part> = (0..len).map(|i| kinds[n / kinds.len().pow(i) % kinds.len()]).collect();
                let found = match read(&parts, 2) {
                    Verdict::None => 0,
                    Verdict::One(ends) => {
                        assert_eq!(ends.last().copied().unwrap_or(0), parts.len());
                        1
                    }
                    Verdict::Several => 2,
                };
                assert_eq!(found, by_trying(&parts, 2).min(2), "{parts:?}");
            }
        }
    }

    #[test]
    fn pieces_whose_commas_add_up_have_one_reading() {
        assert_eq!(read(&[part(1), part(0), part(1), part(2)], 2), Verdict::One(vec![3, 4]));
        assert_eq!(read(&[part(1), part(1), part(1), part(1)], 2), Verdict::One(vec![2, 4]));
    }

    #[test]
    fn a_piece_without_commas_between_good_records_belongs_to_either() {
        assert_eq!(read(&[part(2), part(0), part(2)], 2), Verdict::Several);
        assert_eq!(read(&[part(2), tail(0), part(2)], 2), Verdict::One(vec![2, 3]));
    }

    #[test]
    fn pieces_that_never_add_up_have_no_reading() {
        assert_eq!(read(&[part(1)], 2), Verdict::None);
        assert_eq!(read(&[part(1), part(2)], 2), Verdict::None);
    }

    #[test]
    fn a_hundred_thousand_pieces_without_commas_are_judged_at_once() {
        let mut parts = vec![part(0); 100_000];
        parts.push(part(2));
        parts.extend(vec![part(0); 100_000]);
        assert_eq!(read(&parts, 2), Verdict::One(vec![200_001]));
        parts.push(part(2));
        assert_eq!(read(&parts, 2), Verdict::Several);
    }

    #[test]
    fn only_what_some_reading_joins_is_linked() {
        let links = |parts: &[Part]| {
            let mut links = Links::default();
            parts.iter().map(|&part| links.link(part, 2)).collect::<Vec<_>>()
        };
        assert_eq!(links(&[part(2), part(2)]), [false, false]);
        assert_eq!(links(&[part(2), part(0), part(2), part(2)]), [false, true, true, false]);
        assert_eq!(links(&[part(2), tail(0), part(2)]), [false, true, false]);
        assert_eq!(links(&[part(2), part(1), part(1), part(2)]), [false, false, true, false]);
        assert_eq!(links(&[damaged(5), part(1)]), [false, false]);
        assert_eq!(links(&[damaged(5), part(0), part(2)]), [false, true, true]);
        assert_eq!(links(&[part(2), damaged(0)]), [false, true]);
    }
}

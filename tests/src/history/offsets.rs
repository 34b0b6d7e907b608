use super::violation::{Kind, Violations};
use std::collections::BTreeMap;

/// A partition of a group.
type Place = (String, String, i32);

#[derive(Clone, Copy, Debug, Default)]
struct Commits {
    /// The greatest offset that was asked to be committed.
    asked: i64,
    /// The greatest one whose commit was acknowledged.
    acknowledged: i64,
}

/// What groups committed, where each group's offsets only grow.
#[derive(Clone, Debug, Default)]
pub struct CommittedOffsets {
    places: BTreeMap<Place, Commits>,
    /// How many commits were acknowledged.
    pub count: u64,
}

impl CommittedOffsets {
    fn place(&mut self, group: &str, topic: &str, partition: i32) -> &mut Commits {
        self.places.entry((group.to_owned(), topic.to_owned(), partition)).or_default()
    }

    /// A commit is about to be sent.
    pub fn ask(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        let place = self.place(group, topic, partition);
        place.asked = place.asked.max(offset);
    }

    /// It was acknowledged.
    pub fn acknowledge(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        self.count += 1;
        let place = self.place(group, topic, partition);
        place.acknowledged = place.acknowledged.max(offset);
    }

    /// Whether it is known that this offset was asked for. What a client of another process asked for may be heard later than it is
    /// obeyed.
    pub fn was_asked(&self, place: &(String, String, i32), offset: i64) -> bool {
        self.places.get(place).is_some_and(|commits| commits.asked >= offset)
    }

    /// The groups and partitions with an acknowledged commit, and its offset: what a later look must find at least.
    pub fn acknowledged(&self) -> BTreeMap<(String, String, i32), i64> {
        let all = self.places.iter().filter(|(_, commits)| commits.acknowledged > 0);
        all.map(|(place, commits)| (place.clone(), commits.acknowledged)).collect()
    }

    /// The group's offset was looked up: it is not below `least`, which was acknowledged before the question, and not
    /// beyond what was ever asked for.
    pub fn found(&self, place: &(String, String, i32), least: i64, offset: Option<i64>, found: &mut Violations) {
        let asked = self.places.get(place).map_or(0, |commits| commits.asked);
        match offset {
            Some(offset) if (least..=asked).contains(&offset) => {}
            other => {
                let what = format!("{place:?}: {least} was acknowledged, {asked} asked for, {other:?} is there");
                found.add(Kind::WrongCommittedOffset, what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(offset: Option<i64>) -> Vec<Kind> {
        let (mut offsets, mut found) = (CommittedOffsets::default(), Violations::default());
        for (offset, is_acknowledged) in [(5, true), (8, true), (9, false)] {
            offsets.ask("g", "t", 0, offset);
            if is_acknowledged {
                offsets.acknowledge("g", "t", 0, offset);
            }
        }
        let owed = offsets.acknowledged();
        let place = ("g".to_owned(), "t".to_owned(), 0);
        assert_eq!(owed[&place], 8);
        offsets.found(&place, owed[&place], offset, &mut found);
        found.kinds()
    }

    #[test]
    fn the_last_commit_or_one_that_may_have_got_through_is_believed() {
        assert_eq!(found(Some(8)), []);
        assert_eq!(found(Some(9)), []);
    }

    #[test]
    fn a_commit_that_went_back_is_lost_or_was_never_made_is_found() {
        for wrong in [Some(5), Some(10), None] {
            assert_eq!(found(wrong), [Kind::WrongCommittedOffset], "{wrong:?}");
        }
    }
}

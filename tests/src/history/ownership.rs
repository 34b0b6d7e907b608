use super::violation::{Kind, Violations};
use std::collections::BTreeMap;
use std::time::Instant;

/// A member's claim to a partition: nobody else may have it before then, unless the member gives it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The member.
    pub member: usize,
    /// Until its session would be over, counted from its last heartbeat that was answered.
    pub until: Instant,
}

/// Which member had which partition, as the members believe.
#[derive(Clone, Debug, Default)]
pub struct Ownership {
    leases: BTreeMap<(String, String, i64), Lease>,
    /// How often a partition was given to somebody.
    pub count: u64,
}

impl Ownership {
    /// A member has been given a partition of a group.
    pub fn take(&mut self, place: (String, String, i64), lease: Lease, now: Instant, found: &mut Violations) {
        self.count += 1;
        let other = self.leases.insert(place.clone(), lease);
        if let Some(other) = other.filter(|other| other.member != lease.member && other.until > now) {
            let left = other.until - now;
            let what = format!("{place:?} goes to {} and is with {} for {left:?} more", lease.member, other.member);
            found.add(Kind::TwoOwners, what);
        }
    }

    /// A member has been heard, and still has the partition.
    pub fn keep(&mut self, place: &(String, String, i64), lease: Lease) {
        if let Some(old) = self.leases.get_mut(place).filter(|old| old.member == lease.member) {
            *old = lease;
        }
    }

    /// A member gives a partition up.
    pub fn give_up(&mut self, place: &(String, String, i64), member: usize) {
        if self.leases.get(place).is_some_and(|lease| lease.member == member) {
            self.leases.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn place() -> (String, String, i64) {
        ("g".to_owned(), "t".to_owned(), 0)
    }

    #[test]
    fn a_partition_may_change_hands_when_it_is_given_up_or_its_owners_session_is_over() {
        let (mut ownership, mut found) = (Ownership::default(), Violations::default());
        let now = Instant::now();
        let second = Duration::from_secs(1);
        ownership.take(place(), Lease { member: 1, until: now + second }, now, &mut found);
        ownership.give_up(&place(), 1);
        ownership.take(place(), Lease { member: 2, until: now + second }, now, &mut found);
        ownership.take(place(), Lease { member: 3, until: now + 3 * second }, now + second, &mut found);
        assert!(found.is_empty(), "{found}");
    }

    #[test]
    fn two_owners_at_once_are_found() {
        let (mut ownership, mut found) = (Ownership::default(), Violations::default());
        let now = Instant::now();
        let second = Duration::from_secs(1);
        ownership.take(place(), Lease { member: 1, until: now + second }, now, &mut found);
        ownership.keep(&place(), Lease { member: 1, until: now + 5 * second });
        ownership.give_up(&place(), 2);
        ownership.take(place(), Lease { member: 2, until: now + 9 * second }, now + 2 * second, &mut found);
        assert_eq!(found.kinds(), [Kind::TwoOwners]);
    }
}

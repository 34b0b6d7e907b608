use super::adapter::Adapter;
use super::calls::{number, records};
use super::failure::{Done, Failure, check};
use super::record::Received;
use super::waiting::{PATIENCE, overdue};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Instant;

/// How long a member's poll waits for records; all members poll at the same time.
const POLL_MS: u64 = 100;

/// A member of a group: an adapter, and what it owned when it was polled last.
#[derive(Debug)]
struct Member<'a> {
    adapter: &'a mut Adapter,
    owned: BTreeSet<i64>,
    /// Whether it has had partitions and then none, as seen by polls.
    lost_all: bool,
}

/// The members of one group, polled together, and what they have read.
#[derive(Debug)]
pub(super) struct Members<'a> {
    members: Vec<Member<'a>>,
    seen: Vec<Received>,
}

impl<'a> Members<'a> {
    /// Nobody yet.
    pub(super) fn new() -> Self {
        Self { members: Vec::new(), seen: Vec::new() }
    }

    /// Takes in an adapter that has subscribed.
    pub(super) fn join(&mut self, adapter: &'a mut Adapter) {
        self.members.push(Member { adapter, owned: BTreeSet::new(), lost_all: false });
    }

    /// Polls all members once, at the same time: in a rebalance one waits for the other.
    pub(super) fn poll(&mut self) -> Done {
        let answers = self.ask_all(&json!({"op": "poll", "ms": POLL_MS}))?;
        for (member, answer) in self.members.iter_mut().zip(answers) {
            self.seen.extend(records(&answer)?);
            let owned =
                answer["assigned"].as_array().ok_or_else(|| Failure::new(format!("no assignment: {answer}")))?;
            let owned = owned.iter().map(number).collect::<Done<BTreeSet<i64>>>()?;
            member.lost_all |= owned.is_empty() && !member.owned.is_empty();
            member.owned = owned;
        }
        Ok(())
    }

    /// Polls until the condition holds.
    pub(super) fn poll_until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) -> Done {
        let end = Instant::now() + PATIENCE;
        loop {
            self.poll()?;
            if condition(self) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(overdue(what, &self.picture()));
            }
        }
    }

    /// Polls until the members own all partitions, each of them at least one, none of them twice.
    pub(super) fn poll_until_they_own(&mut self, partitions: i64) -> Done {
        let what = format!("{} members own {partitions} partitions", self.members.len());
        self.poll_until(&what, |members| members.own_exactly(partitions))
    }

    fn own_exactly(&self, partitions: i64) -> bool {
        let mut all: Vec<i64> = self.members.iter().flat_map(|member| member.owned.iter().copied()).collect();
        all.sort_unstable();
        self.members.iter().all(|member| !member.owned.is_empty()) && all.into_iter().eq(0..partitions)
    }

    /// Polls until so many different records have been read.
    pub(super) fn poll_until_read(&mut self, count: usize) -> Done {
        self.poll_until(&format!("{count} records are read"), |members| members.positions().len() >= count)
    }

    /// All members commit what they have read. A commit may meet a rebalance, and is then made again.
    pub(super) fn commit(&mut self) -> Done {
        let end = Instant::now() + PATIENCE;
        loop {
            let answers = self.ask_all(&json!({"op": "commit"}))?;
            if answers.iter().all(|answer| answer["committed"] == true) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(overdue("all members have committed", &format!("{answers:?} {}", self.picture())));
            }
            self.poll()?;
        }
    }

    /// The last member that joined leaves.
    pub(super) fn last_leaves(&mut self) -> Done {
        let member = self.members.pop().ok_or_else(|| Failure::new("nobody is there to leave"))?;
        member.adapter.ask(&json!({"op": "leave"})).map(drop)
    }

    /// All members leave.
    pub(super) fn all_leave(mut self) -> Done {
        self.ask_all(&json!({"op": "leave"})).map(drop)
    }

    /// Lets go of the adapter that joined last, without a word to it.
    pub(super) fn forget_last(&mut self) {
        self.members.pop();
    }

    /// The records read so far, each once: members may read one again after a rebalance.
    pub(super) fn read(&self) -> Vec<&Received> {
        self.positions().into_values().collect()
    }

    /// How often a record was read, again or not.
    pub(super) fn reads(&self) -> usize {
        self.seen.len()
    }

    /// What the member that joined as the `index`th owned last.
    pub(super) fn owned(&self, index: usize) -> BTreeSet<i64> {
        self.members.get(index).map(|member| member.owned.clone()).unwrap_or_default()
    }

    /// Checks that no member that is there was ever without partitions since it had its first.
    pub(super) fn check_none_lost_all(&self) -> Done {
        check(self.members.iter().all(|member| !member.lost_all), || {
            format!("members gave up all their partitions in a cooperative rebalance: {}", self.picture())
        })
    }

    fn positions(&self) -> BTreeMap<(i64, i64), &Received> {
        self.seen.iter().map(|record| ((record.partition, record.offset), record)).collect()
    }

    /// Asks all members, then waits for the answers of all.
    fn ask_all(&mut self, request: &Value) -> Done<Vec<Value>> {
        for member in &mut self.members {
            member.adapter.send(request)?;
        }
        self.members.iter_mut().map(|member| member.adapter.receive()).collect()
    }

    fn picture(&self) -> String {
        let mut picture = format!("{} records", self.positions().len());
        for (index, member) in self.members.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = write!(picture, "; member {} owns {:?}", index + 1, member.owned);
            if member.lost_all {
                picture.push_str(" and had none for a while");
            }
        }
        picture
    }
}

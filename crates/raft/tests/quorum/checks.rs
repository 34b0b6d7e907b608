//! What must hold after every step, whatever has happened.

use crate::disk::{Disk, LogImage};
use ottla_raft::{ElectionState, ReplicaKey, VoterSet};
use ottla_types::NodeId;
use std::collections::BTreeMap;

/// An invariant does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

pub(crate) type Checked = Result<(), Violation>;

pub(crate) fn violated(invariant: &'static str, what: impl Into<String>) -> Checked {
    Err(Violation { invariant, what: what.into() })
}

/// What all nodes together have shown so far.
#[derive(Default)]
pub(crate) struct Checks {
    /// Who led an epoch: the node, and its start.
    leaders: BTreeMap<i32, (usize, u64)>,
    /// For whom a replica has voted in an epoch.
    votes: BTreeMap<(ReplicaKey, i32), i32>,
    /// The hash of the log up to and with the entry of an offset and epoch.
    entries: BTreeMap<(i64, i32), u64>,
    /// The epoch and hash of each committed entry.
    pub(crate) committed: Vec<(i32, u64)>,
}

impl Checks {
    /// ONE LEADER: an epoch has one leader, and it is one that has not started anew since. LEADER COMPLETENESS: it has
    /// everything that is committed.
    pub(crate) fn leads(&mut self, node: usize, start: u64, epoch: i32, log: &LogImage) -> Checked {
        let known = *self.leaders.entry(epoch).or_insert((node, start));
        if known != (node, start) {
            return violated(
                "one leader per epoch",
                format!("epoch {epoch} is led by {known:?} and {:?}", (node, start)),
            );
        }
        let end = self.committed.len() as i64;
        // It was complete when it was elected; what is committed later is its own.
        if let Some((committed_epoch, chain)) = self.committed.last()
            && *committed_epoch < epoch
            && log.start.offset.0 <= end
            && log.chain_below(end) != Some(*chain)
        {
            return violated(
                "leader completeness",
                format!("the leader {node} of epoch {epoch} lacks offset {}", end - 1),
            );
        }
        Ok(())
    }

    /// ONE VOTE: a replica votes once in an epoch, and its file says so before the vote leaves.
    pub(crate) fn votes(&mut self, voter: ReplicaKey, disk: &Disk, epoch: i32, candidate: i32) -> Checked {
        let file = disk.quorum_state.as_deref().map(ElectionState::from_file);
        let file = match file {
            Some(Ok(file)) if file.epoch.0 == epoch && file.voted.is_some_and(|voted| voted.id.0 == candidate) => file,
            other => return violated("a vote is durable before it is sent", format!("{voter}: {other:?}")),
        };
        let known = *self.votes.entry((voter, epoch)).or_insert(candidate);
        if known != candidate {
            let what = format!("{voter} votes for {known} and {candidate} in epoch {epoch}: {file:?}");
            return violated("one vote per epoch", what);
        }
        Ok(())
    }

    /// LOG MATCHING: two logs with the same epoch at an offset are the same up to there.
    pub(crate) fn appended(&mut self, node: usize, log: &LogImage, from: i64) -> Checked {
        for offset in from.max(log.start.offset.0)..log.end() {
            let Some(entry) = log.get(offset) else { continue };
            let known = *self.entries.entry((offset, entry.epoch)).or_insert(entry.chain);
            if known != entry.chain {
                return violated("log matching", format!("node {node} at offset {offset} of epoch {}", entry.epoch));
            }
        }
        Ok(())
    }

    /// COMMITTED PREFIX: what one node takes for committed, all do, and for ever.
    pub(crate) fn committed(&mut self, node: usize, log: &LogImage, end: i64) -> Checked {
        let known = self.committed.len() as i64;
        let common = end.min(known);
        if common >= log.start.offset.0 && common > 0 {
            let chain = self.committed.get(common as usize - 1).map(|(_, chain)| *chain);
            if log.chain_below(common) != chain {
                return violated("the committed prefix never changes", format!("node {node} differs below {common}"));
            }
        }
        for offset in known..end {
            match log.get(offset) {
                Some(entry) => self.committed.push((entry.epoch, entry.chain)),
                None => {
                    return violated("committed is what is there", format!("node {node} lacks {offset} below {end}"));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn is_committed_chain(&self, end: i64, chain: u64) -> bool {
        end == 0 || self.committed.get(end as usize - 1).is_some_and(|(_, known)| *known == chain)
    }

    /// A truncation takes away nothing that is committed.
    pub(crate) fn truncates(&self, node: usize, log: &LogImage, end: i64) -> Checked {
        for offset in end.max(log.start.offset.0)..log.end() {
            let entry = log.get(offset).map(|entry| (entry.epoch, entry.chain));
            if entry.is_some() && self.committed.get(offset as usize).copied() == entry {
                return violated("what is committed is not truncated", format!("node {node} cuts offset {offset}"));
            }
        }
        Ok(())
    }
}

/// HIGH WATERMARK JUSTIFIED: a majority of the leader's voters has it, whatever crashes now.
pub(crate) fn is_justified<'a>(
    voters: &VoterSet,
    end: i64,
    chain: u64,
    disks: impl Iterator<Item = (NodeId, &'a Disk)>,
) -> Checked {
    let has = |disk: &Disk| disk.durable.start.offset.0 >= end || disk.durable.chain_below(end) == Some(chain);
    let holders = disks.filter(|(id, disk)| {
        let key = ReplicaKey::new(*id, disk.directory);
        voters.is_voter(&key) && has(disk)
    });
    let count = holders.count();
    if count < voters.majority() {
        let what = format!("{count} of {} voters have everything below {end}", voters.len());
        return violated("the high watermark is on a majority", what);
    }
    Ok(())
}

/// SINGLE STEP: voters change one at a time, and only when the last change is committed and a record of the leader's epoch.
pub(crate) fn is_single_step(
    committed: i64,
    is_own_epoch_committed: bool,
    before: Option<(i64, VoterSet)>,
    after: &VoterSet,
) -> Checked {
    let Some((offset, before)) = before else { return Ok(()) };
    let keys = |set: &VoterSet| set.iter().map(|voter| voter.key).collect::<Vec<_>>();
    let (old, new) = (keys(&before), keys(after));
    if old == new {
        return Ok(());
    }
    let gone = old.iter().filter(|key| !new.contains(key)).count();
    let come = new.iter().filter(|key| !old.contains(key)).count();
    if gone + come > 1 {
        return violated("voters change one at a time", format!("{old:?} to {new:?}"));
    }
    if committed <= offset || !is_own_epoch_committed {
        let what = format!("{committed} {offset} {is_own_epoch_committed} {old:?} {new:?}");
        return violated("voters change after the last change is committed", what);
    }
    Ok(())
}

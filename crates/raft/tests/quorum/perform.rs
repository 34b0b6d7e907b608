//! What a host does for its machine, with the checks beside it.

use crate::checks::{Checked, is_justified, is_single_step, violated};
use crate::disk::{Content, LogImage, SnapshotFile, decode, encode};
use crate::mistakes::Mistake;
use crate::node::Caller;
use crate::world::World;
use ottla_protocol::RecordSet;
use ottla_raft::{CallId, ControlRecord, Effect, ElectionState, Event, Request, Response, SnapshotId, VoterSet};

impl World {
    pub(crate) fn perform_one(&mut self, node: usize, effect: Effect) -> Checked {
        match effect {
            Effect::PersistElection(election) => {
                self.persist(node, &election);
                Ok(())
            }
            Effect::AppendControlRecords { base_offset, epoch, records } => {
                self.append_control(node, base_offset.0, epoch.0, records)
            }
            Effect::AppendFetched { base_offset, records, end } => {
                self.append_fetched(node, base_offset.0, &decode(records), end.0)
            }
            Effect::Truncate { end } => self.truncate(node, end.0),
            Effect::Send { to, request, message } => {
                if let Request::Vote(vote) = &message {
                    let asked = &vote.topics[0].partitions[0];
                    if !asked.pre_vote {
                        let (key, disk) = (self.nodes[node].key(), &self.nodes[node].disk);
                        self.checks.votes(key, disk, asked.replica_epoch, asked.replica_id)?;
                    }
                }
                self.send(node, to, request, &message);
                Ok(())
            }
            Effect::Reply { call, response } => self.reply(node, call, response),
            Effect::ReplyWithRecords { call, mut response, offset, bytes_max } => {
                let bytes = encode(&self.nodes[node].disk.log, offset.0, bytes_max);
                response.responses[0].partitions[0].records = RecordSet::Bytes(bytes);
                self.reply(node, call, Response::Fetch(response, Vec::new()))
            }
            Effect::ReplyWithSnapshot { call, mut response, id, position, bytes_max } => {
                let bytes = self.nodes[node].disk.snapshots[&id].slice(position as usize..);
                let bytes = bytes.slice(..bytes.len().min(bytes_max as usize));
                response.topics[0].partitions[0].unaligned_records = RecordSet::Bytes(bytes);
                self.reply(node, call, Response::FetchSnapshot(response))
            }
            Effect::WriteSnapshotPart { id, position, bytes } => {
                let part = &mut self.nodes[node].disk.part;
                if position == 0 {
                    *part = Some((id, Default::default()));
                }
                match part {
                    Some((known, part)) if *known == id && part.len() as u64 == position => {
                        part.extend_from_slice(&bytes);
                        Ok(())
                    }
                    _ => violated("parts of a snapshot follow each other", format!("node {node} {id} {position}")),
                }
            }
            Effect::InstallSnapshot { id } => self.install(node, id),
            Effect::HighWatermarkAdvanced(end) => self.advance(node, end.0),
            Effect::LeaderChanged { .. } => Ok(()),
            Effect::BecameLeader { epoch } => {
                self.saw("elected");
                self.nodes[node].active = Some(epoch.0);
                Ok(())
            }
            Effect::LostLeadership { .. } => {
                self.saw("resigned");
                self.nodes[node].active = None;
                Ok(())
            }
            Effect::Fault(fault) => violated("nobody breaks a promise", format!("node {node}: {fault}")),
        }
    }

    fn persist(&mut self, node: usize, election: &ElectionState) {
        let text = self.nodes[node].raft.as_ref().map(|raft| raft.quorum_state_file(election));
        if self.mistake != Some(Mistake::ElectionStateNotWritten) {
            let disk = &mut self.nodes[node].disk;
            disk.old_quorum_state = core::mem::replace(&mut disk.quorum_state, text);
        }
    }

    fn append_control(&mut self, node: usize, base: i64, epoch: i32, mut records: Vec<ControlRecord>) -> Checked {
        let log = &self.nodes[node].disk.log;
        if base != log.end() {
            return violated("a leader appends at its end", format!("node {node}: {base} and {}", log.end()));
        }
        if self.mistake == Some(Mistake::TwoVotersAtOnce) {
            records.iter_mut().for_each(drop_a_voter);
        }
        for record in records {
            if let ControlRecord::Voters(stated) = &record {
                let before = voters_in(&self.nodes[node].disk.log);
                let committed = self.nodes[node].committed;
                let is_own = self.nodes[node].disk.log.epoch_before(committed) == epoch;
                is_single_step(committed, is_own, before, &VoterSet::from_record(stated))?;
            }
            self.nodes[node].disk.log.push(epoch, Content::Control(record));
        }
        self.checks.appended(node, &self.nodes[node].disk.log, base)?;
        self.flush(node)
    }

    fn append_fetched(&mut self, node: usize, base: i64, entries: &[(i64, i32, Content)], end: i64) -> Checked {
        let epoch = self.raft(node).map_or(0, |raft| raft.epoch().0);
        let log = &mut self.nodes[node].disk.log;
        for (offset, entry_epoch, content) in entries {
            if *offset < end {
                let is_relabelled = self.mistake == Some(Mistake::EpochOfRecordsChanged);
                log.push(if is_relabelled { epoch } else { *entry_epoch }, content.clone());
            }
        }
        self.checks.appended(node, &self.nodes[node].disk.log, base)?;
        self.flush(node)
    }

    fn truncate(&mut self, node: usize, end: i64) -> Checked {
        self.checks.truncates(node, &self.nodes[node].disk.log, end)?;
        // A flush that is under way would be reported for what is written in place of what it flushed.
        if self.nodes[node].disk.durable.end() < self.nodes[node].disk.log.end() {
            return violated("only what is durable is truncated", format!("node {node} at {end}"));
        }
        self.saw("truncated");
        let disk = &mut self.nodes[node].disk;
        disk.generation += 1;
        if self.mistake != Some(Mistake::NotTruncated) {
            disk.log.truncate(end);
        }
        Ok(())
    }

    fn install(&mut self, node: usize, id: SnapshotId) -> Checked {
        let part = self.nodes[node].disk.part.take().filter(|(known, _)| *known == id);
        let bytes = part.map(|(_, bytes)| bytes.freeze()).unwrap_or_default();
        let Some(file) = SnapshotFile::from_bytes(bytes.clone()) else {
            return self.feed(node, Event::SnapshotRefused { id });
        };
        if !self.checks.is_committed_chain(id.0.offset.0, file.chain) {
            return violated("a snapshot holds what is committed", format!("node {node} installs {id}"));
        }
        self.saw("installed");
        let size = bytes.len() as u64;
        let disk = &mut self.nodes[node].disk;
        disk.generation += 1;
        disk.snapshots.insert(id, bytes);
        disk.snapshots.retain(|known, _| *known >= id);
        disk.log = LogImage { start: id.0, start_chain: file.chain, entries: Vec::new() };
        disk.durable = disk.log.clone();
        self.feed(node, Event::SnapshotInstalled { id, size, version: file.version, voters: file.voters })
    }

    fn advance(&mut self, node: usize, end: i64) -> Checked {
        let known = self.nodes[node].committed;
        if end <= known {
            return violated("the high watermark only grows", format!("node {node} goes from {known} to {end}"));
        }
        self.nodes[node].committed = end;
        self.saw("committed");
        let log = &self.nodes[node].disk.log;
        // The step that brought it may have ended the leadership.
        let is_leader = self.nodes[node].led_before || self.raft(node).is_some_and(|raft| raft.is_leader());
        if !is_leader && end > self.checks.committed.len() as i64 {
            return violated("a follower knows of no more than a leader", format!("node {node} says {end}"));
        }
        self.checks.committed(node, log, end)?;
        if let (true, Some(raft), Some(chain)) = (is_leader, self.raft(node), log.chain_below(end)) {
            let disks = self.nodes.iter().map(|node| (node.id, &node.disk));
            is_justified(raft.voters(), end, chain, disks)?;
        }
        Ok(())
    }

    fn reply(&mut self, node: usize, call: CallId, response: Response) -> Checked {
        let Some(Caller { from, version, request }) = self.nodes[node].calls.remove(&call) else {
            return violated("a call is answered once", format!("node {node} {call:?}"));
        };
        if let (Request::Vote(asked), Response::Vote(told)) = (&request, &response) {
            let asked = asked.topics.first().and_then(|topic| topic.partitions.first());
            let told = told.topics.first().and_then(|topic| topic.partitions.first());
            if let (Some(asked), Some(told)) = (asked, told)
                && told.vote_granted
                && !asked.pre_vote
            {
                let (key, disk) = (self.nodes[node].key(), &self.nodes[node].disk);
                self.checks.votes(key, disk, asked.replica_epoch, asked.replica_id)?;
                self.saw("votes");
            }
        }
        match &response {
            Response::AddRaftVoter(told) if told.error_code == 0 => {
                self.saw(if from.is_none() { "voter added" } else { "joined by itself" });
            }
            Response::RemoveRaftVoter(told) if told.error_code == 0 => self.saw("voter removed"),
            Response::UpdateRaftVoter(told) if told.error_code == 0 => self.saw("updated"),
            _ => {}
        }
        if from.is_none() {
            self.answers.push((call, response));
        } else {
            self.answer(node, from, version, response);
        }
        Ok(())
    }

    /// Hosts that take more for committed than their machine says.
    pub(crate) fn hasty_commit(&mut self, node: usize) -> Checked {
        let Some(raft) = self.raft(node).filter(|raft| raft.is_leader()) else { return Ok(()) };
        let end = match self.mistake {
            Some(Mistake::CommittedByMinority) => self.nodes[node].disk.durable.end(),
            Some(Mistake::OldEpochCommitted) => {
                let ottla_raft::Role::Leader(leader) = raft.role() else { return Ok(()) };
                let local = self.nodes[node].key();
                let own = self.nodes[node].disk.durable.end();
                let ends = leader.voters().iter();
                let mut ends: Vec<i64> =
                    ends.map(|(key, p)| if key.matches(&local) { own } else { p.end_offset.0 }).collect();
                ends.sort_unstable_by(|a, b| b.cmp(a));
                ends.get(ends.len() / 2).copied().unwrap_or(0)
            }
            _ => return Ok(()),
        };
        if end > self.checks.committed.len() as i64 {
            let log = &self.nodes[node].disk.log;
            self.checks.committed(node, log, end.min(log.end()))?;
        }
        Ok(())
    }

    pub(crate) fn spoil_request(&mut self, mut request: Request) -> Request {
        match (&mut request, self.mistake) {
            (Request::Fetch(fetch), Some(Mistake::FetchOffsetTooHigh)) => {
                // Only where it would go unnoticed: the follower is just behind.
                fetch.topics[0].partitions[0].fetch_offset += i64::from(self.chance.permille(300));
            }
            (Request::Vote(vote), Some(Mistake::PreVoteTakenForVote)) => {
                vote.topics[0].partitions[0].pre_vote = false;
            }
            _ => {}
        }
        request
    }

    pub(crate) fn spoil_response(&mut self, mut response: Response) -> Response {
        match (&mut response, self.mistake) {
            (Response::Vote(vote), Some(Mistake::EveryVoteGranted)) => {
                vote.topics.iter_mut().flat_map(|topic| &mut topic.partitions).for_each(|p| p.vote_granted = true);
            }
            (Response::Fetch(fetch, _), Some(Mistake::DivergenceHidden)) => {
                for partition in fetch.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    partition.diverging_epoch = Default::default();
                }
            }
            _ => {}
        }
        response
    }
}

/// The newest voters in a log, with their offset. Voters of before the log are left out of account.
fn voters_in(log: &LogImage) -> Option<(i64, VoterSet)> {
    (log.start.offset.0..log.end()).rev().find_map(|offset| match &log.get(offset)?.content {
        Content::Control(ControlRecord::Voters(record)) => Some((offset, VoterSet::from_record(record))),
        _ => None,
    })
}

fn drop_a_voter(record: &mut ControlRecord) {
    if let ControlRecord::Voters(stated) = record
        && stated.voters.len() > 2
    {
        stated.voters.pop();
    }
}

use crate::{ControlRecord, ElectionState, KraftVersion, LeaderState, OffsetAndEpoch, ReplicaKey, VoterSet};
use ottla_protocol::raft_records::{KRaftVersionRecord, LeaderChangeMessage, leader_change_message};
use ottla_types::{LeaderEpoch, NodeId, Offset};
use std::collections::BTreeSet;
use thiserror::Error;

/// What a replica is told about itself and its quorum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// This replica. Its directory must be known.
    pub local: ReplicaKey,
    /// Where the voters are kept.
    pub version: KraftVersion,
    /// The voters, from the configuration or from the log.
    pub voters: VoterSet,
    /// Whether the voters stand in the log's own records. If dynamic voters stand only in the snapshot that formatting
    /// wrote, the first leader writes them into the log.
    pub voters_are_in_log: bool,
}

/// Where the local log ends when the replica starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogState {
    /// Its end, with the epoch of its last record (or of its snapshot, if there is no record after that; 0 if there is
    /// none either).
    pub end: OffsetAndEpoch,
}

/// What happened to a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The log was appended to and ends at this offset; the records may not be durable yet.
    Appended {
        /// The log end offset.
        end: Offset,
    },
    /// The log is durable up to this offset.
    Flushed {
        /// The offset after the last durable record.
        end: Offset,
    },
    /// The node wants to stop leading, because it shuts down or because its log failed.
    Resign,
}

/// What a replica wants done. A list of effects is performed in its order; one that must be durable is, before the next
/// one is begun.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Write `quorum-state`, durably.
    PersistElection(ElectionState),
    /// Append these records as one control batch of that epoch at the end of the log, then flush.
    AppendControlRecords {
        /// The leader epoch of the batch.
        epoch: LeaderEpoch,
        /// The records.
        records: Vec<ControlRecord>,
    },
    /// Every record below this offset is committed: load it into the image, complete what waits for it.
    HighWatermarkAdvanced(Offset),
    /// This replica leads the epoch and all records before it are committed. Comes after the high watermark has passed
    /// the epoch's first record, so that a controller that becomes active has seen everything its predecessors decided.
    BecameLeader {
        /// The epoch.
        epoch: LeaderEpoch,
    },
    /// This replica leads no more: the controller must stop deciding, and forget what was not committed.
    LostLeadership {
        /// The epoch that it led.
        epoch: LeaderEpoch,
    },
}

/// Why a replica can't start.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RaftError {
    /// The quorum has other voters.
    #[error("the metadata quorum has the voters {voters:?}; only a quorum of the node {local} alone is supported")]
    OtherVoters {
        /// The voters' ids.
        voters: Vec<NodeId>,
        /// This node.
        local: NodeId,
    },
    /// Epochs are used up.
    #[error("the leader epoch {0} has no successor")]
    EpochsExhausted(LeaderEpoch),
}

/// What a replica is at the moment.
#[derive(Clone, PartialEq, Debug)]
pub enum Role {
    /// Knows no leader it could follow.
    Unattached,
    /// Follows the leader of the epoch.
    Follower {
        /// The leader.
        leader: NodeId,
    },
    /// Asks whether it could win an election, without disturbing the epoch (KIP-996).
    Prospective {
        /// Who said yes.
        granted: BTreeSet<NodeId>,
    },
    /// Has opened a new epoch and asks for votes.
    Candidate {
        /// Who voted for it.
        granted: BTreeSet<NodeId>,
    },
    /// Leads the epoch.
    Leader(LeaderState),
    /// Led the epoch and does so no more.
    Resigned,
}

impl Role {
    /// Kafka's name of the state, as its metrics show it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unattached => "unattached",
            Self::Follower { .. } => "follower",
            Self::Prospective { .. } => "prospective",
            Self::Candidate { .. } => "candidate",
            Self::Leader(_) => "leader",
            Self::Resigned => "resigned",
        }
    }
}

/// One replica of the metadata quorum.
///
/// Invariants: the epoch never falls; within an epoch this replica votes once; nothing is sent or appended in an epoch
/// before [`Effect::PersistElection`] made it durable.
#[derive(Clone, Debug)]
pub struct Raft {
    settings: Settings,
    election: ElectionState,
    role: Role,
    log_end: Offset,
}

impl Raft {
    /// Starts a replica from what its directory holds. The only voter does not wait for an election timeout: it opens
    /// the next epoch at once.
    ///
    /// # Errors
    /// When the quorum is not this replica alone.
    pub fn start(
        settings: Settings,
        persisted: Option<ElectionState>,
        log: LogState,
    ) -> Result<(Self, Vec<Effect>), RaftError> {
        if !settings.voters.is_only_voter(&settings.local) {
            let voters = settings.voters.ids().collect();
            return Err(RaftError::OtherVoters { voters, local: settings.local.id });
        }
        let (election, role) = initial(&settings, persisted.unwrap_or(ElectionState::initial()), log.end.epoch);
        let mut raft = Self { settings, election, role, log_end: log.end.offset };
        let mut effects = Vec::new();
        raft.become_prospective();
        raft.become_candidate(&mut effects)?;
        Ok((raft, effects))
    }

    /// Takes one event and returns what is to be done, in order.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Appended { end } => self.log_end = end.max(self.log_end),
            Event::Flushed { end } => {
                self.log_end = end.max(self.log_end);
                self.flushed(end, &mut effects);
            }
            Event::Resign => {
                if let Role::Leader(leader) = &self.role {
                    effects.push(Effect::LostLeadership { epoch: leader.epoch() });
                    // The file still names this replica as leader; at the next start that only means "a new epoch".
                    self.role = Role::Resigned;
                }
            }
        }
        effects
    }

    /// The newest epoch seen.
    pub fn epoch(&self) -> LeaderEpoch {
        self.election.epoch
    }

    /// The leader of that epoch, if known. A resigned leader is none.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader(_) => Some(self.settings.local.id),
            Role::Follower { leader } => Some(*leader),
            _ => None,
        }
    }

    /// Whether this replica leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Who got this replica's vote in its epoch.
    pub fn voted(&self) -> Option<NodeId> {
        self.election.voted.map(|voted| voted.id)
    }

    /// What this replica is at the moment.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// The offset below which everything is committed, as far as this replica knows in this epoch.
    pub fn high_watermark(&self) -> Option<Offset> {
        match &self.role {
            Role::Leader(leader) => leader.high_watermark(),
            _ => None,
        }
    }

    /// Where the local log ends.
    pub fn log_end_offset(&self) -> Offset {
        self.log_end
    }

    /// What the replica was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn become_prospective(&mut self) {
        self.role = Role::Prospective { granted: BTreeSet::from([self.settings.local.id]) };
    }

    fn become_candidate(&mut self, effects: &mut Vec<Effect>) -> Result<(), RaftError> {
        let epoch = self.election.epoch;
        let next = epoch.0.checked_add(1).map(LeaderEpoch).ok_or(RaftError::EpochsExhausted(epoch))?;
        self.election = ElectionState { epoch: next, leader: None, voted: Some(self.settings.local) };
        persist(effects, &self.election);
        let granted = BTreeSet::from([self.settings.local.id]);
        let elected = granted.len() >= self.settings.voters.majority();
        self.role = Role::Candidate { granted };
        if elected {
            self.become_leader(effects);
        }
        Ok(())
    }

    fn become_leader(&mut self, effects: &mut Vec<Effect>) {
        let local = self.settings.local;
        let granting = match &self.role {
            Role::Candidate { granted } => granted.iter().copied().collect(),
            _ => Vec::new(),
        };
        self.election = ElectionState { epoch: self.election.epoch, leader: Some(local.id), voted: None };
        persist(effects, &self.election);
        let epoch = self.election.epoch;
        self.role = Role::Leader(LeaderState::new(epoch, local, self.log_end, &self.settings.voters));
        let records = self.start_of_epoch(&granting);
        effects.push(Effect::AppendControlRecords { epoch, records });
    }

    fn start_of_epoch(&self, granting: &[NodeId]) -> Vec<ControlRecord> {
        let voter = |id: NodeId| leader_change_message::Voter { voter_id: id.0, ..Default::default() };
        let mut records = vec![ControlRecord::LeaderChange(LeaderChangeMessage {
            version: 0,
            leader_id: self.settings.local.id.0,
            voters: self.settings.voters.ids().map(voter).collect(),
            granting_voters: granting.iter().copied().map(voter).collect(),
            ..Default::default()
        })];
        if self.settings.version == KraftVersion::Dynamic && !self.settings.voters_are_in_log {
            records.push(ControlRecord::KraftVersion(KRaftVersionRecord {
                version: 0,
                kraft_version: self.settings.version.level(),
                ..Default::default()
            }));
            records.push(ControlRecord::Voters(self.settings.voters.to_record()));
        }
        records
    }

    fn flushed(&mut self, end: Offset, effects: &mut Vec<Effect>) {
        let Role::Leader(leader) = &mut self.role else { return };
        let first = leader.high_watermark().is_none();
        let Some(high_watermark) = leader.local_flushed(end) else { return };
        effects.push(Effect::HighWatermarkAdvanced(high_watermark));
        if first {
            effects.push(Effect::BecameLeader { epoch: leader.epoch() });
        }
    }
}

/// Of two writes of `quorum-state` with nothing in between that anyone could see, the second is enough.
fn persist(effects: &mut Vec<Effect>, election: &ElectionState) {
    if let Some(Effect::PersistElection(last)) = effects.last_mut() {
        *last = election.clone();
    } else {
        effects.push(Effect::PersistElection(election.clone()));
    }
}

/// The election state and role with which a replica wakes up.
fn initial(settings: &Settings, persisted: ElectionState, log_epoch: LeaderEpoch) -> (ElectionState, Role) {
    if persisted.epoch < log_epoch {
        // The log has records of an epoch that the file does not know: the file is older, its vote means nothing now.
        return (ElectionState { epoch: log_epoch, leader: None, voted: None }, Role::Unattached);
    }
    let local = &settings.local;
    let role = match persisted.leader {
        Some(leader) if leader == local.id => Role::Resigned,
        _ if persisted.has_voted_for(local) => Role::Candidate { granted: BTreeSet::from([local.id]) },
        Some(leader) => Role::Follower { leader },
        None => Role::Unattached,
    };
    (persisted, role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Voter;
    use ottla_types::DirectoryId;

    fn local() -> ReplicaKey {
        ReplicaKey::new(NodeId(1), DirectoryId::from_u128(0xd1))
    }

    fn settings(version: KraftVersion) -> Settings {
        let key = match version {
            KraftVersion::Static => ReplicaKey { id: NodeId(1), directory: None },
            KraftVersion::Dynamic => local(),
        };
        let voters = VoterSet::new([Voter { key, endpoints: Vec::new() }]);
        Settings { local: local(), version, voters, voters_are_in_log: false }
    }

    fn leader_election(epoch: i32) -> ElectionState {
        ElectionState { epoch: LeaderEpoch(epoch), leader: Some(NodeId(1)), voted: None }
    }

    fn log_end(offset: i64, epoch: i32) -> LogState {
        LogState { end: OffsetAndEpoch { offset: Offset(offset), epoch: LeaderEpoch(epoch) } }
    }

    fn leader_change() -> ControlRecord {
        let voter = leader_change_message::Voter { voter_id: 1, ..Default::default() };
        ControlRecord::LeaderChange(LeaderChangeMessage {
            leader_id: 1,
            voters: vec![voter.clone()],
            granting_voters: vec![voter],
            ..Default::default()
        })
    }

    #[test]
    fn the_only_voter_leads_epoch_1_of_a_new_log_at_once() {
        let (mut raft, effects) = Raft::start(settings(KraftVersion::Static), None, log_end(0, 0)).unwrap();
        assert_eq!(
            effects,
            [
                Effect::PersistElection(leader_election(1)),
                Effect::AppendControlRecords { epoch: LeaderEpoch(1), records: vec![leader_change()] },
            ]
        );
        assert!(raft.is_leader());
        assert_eq!(raft.high_watermark(), None);
        assert_eq!(raft.step(Event::Appended { end: Offset(1) }), []);
        assert_eq!(
            raft.step(Event::Flushed { end: Offset(1) }),
            [Effect::HighWatermarkAdvanced(Offset(1)), Effect::BecameLeader { epoch: LeaderEpoch(1) }]
        );
        assert_eq!(raft.step(Event::Flushed { end: Offset(1) }), []);
        assert_eq!(raft.step(Event::Flushed { end: Offset(4) }), [Effect::HighWatermarkAdvanced(Offset(4))]);
    }

    #[test]
    fn a_restarted_leader_opens_the_next_epoch() {
        let persisted = Some(leader_election(4));
        let (raft, effects) = Raft::start(settings(KraftVersion::Static), persisted, log_end(100, 4)).unwrap();
        assert_eq!(effects[0], Effect::PersistElection(leader_election(5)));
        assert_eq!(raft.epoch(), LeaderEpoch(5));
    }

    #[test]
    fn records_of_earlier_epochs_are_committed_with_the_first_record_of_the_new_one() {
        let persisted = Some(leader_election(4));
        let (mut raft, _) = Raft::start(settings(KraftVersion::Static), persisted, log_end(100, 4)).unwrap();
        assert_eq!(raft.step(Event::Flushed { end: Offset(100) }), []);
        assert_eq!(
            raft.step(Event::Flushed { end: Offset(101) }),
            [Effect::HighWatermarkAdvanced(Offset(101)), Effect::BecameLeader { epoch: LeaderEpoch(5) }]
        );
    }

    #[test]
    fn an_epoch_is_never_used_twice_although_the_file_is_older_than_the_log() {
        let persisted = Some(leader_election(2));
        let (raft, effects) = Raft::start(settings(KraftVersion::Static), persisted, log_end(100, 9)).unwrap();
        assert_eq!(effects[0], Effect::PersistElection(leader_election(10)));
        assert_eq!(raft.epoch(), LeaderEpoch(10));
    }

    #[test]
    fn a_vote_or_a_leader_of_an_earlier_configuration_does_not_hinder_the_only_voter() {
        let other = ElectionState { epoch: LeaderEpoch(3), leader: Some(NodeId(2)), voted: None };
        let voted = ElectionState { epoch: LeaderEpoch(3), leader: None, voted: Some(local()) };
        for persisted in [other, voted] {
            let (raft, _) = Raft::start(settings(KraftVersion::Static), Some(persisted), log_end(7, 3)).unwrap();
            assert_eq!((raft.epoch(), raft.leader()), (LeaderEpoch(4), Some(NodeId(1))));
        }
    }

    #[test]
    fn with_dynamic_voters_the_first_leader_writes_them_into_the_log() {
        let settings = settings(KraftVersion::Dynamic);
        let (_, effects) = Raft::start(settings.clone(), None, log_end(0, 0)).unwrap();
        let Effect::AppendControlRecords { records, .. } = &effects[1] else { panic!("{effects:?}") };
        let types: Vec<i16> = records.iter().map(ControlRecord::type_code).collect();
        assert_eq!(types, [2, 5, 6]);
        let settings = Settings { voters_are_in_log: true, ..settings };
        let (_, effects) = Raft::start(settings, None, log_end(0, 0)).unwrap();
        let Effect::AppendControlRecords { records, .. } = &effects[1] else { panic!("{effects:?}") };
        assert_eq!(records, &[leader_change()]);
    }

    #[test]
    fn a_leader_that_resigns_commits_nothing_more() {
        let (mut raft, _) = Raft::start(settings(KraftVersion::Static), None, log_end(0, 0)).unwrap();
        raft.step(Event::Flushed { end: Offset(1) });
        assert_eq!(raft.step(Event::Resign), [Effect::LostLeadership { epoch: LeaderEpoch(1) }]);
        assert_eq!(raft.step(Event::Flushed { end: Offset(5) }), []);
        assert_eq!(raft.step(Event::Resign), []);
        assert_eq!((raft.leader(), raft.high_watermark()), (None, None));
    }

    #[test]
    fn a_quorum_of_several_voters_is_refused() {
        let voters =
            [1, 2].map(|id| Voter { key: ReplicaKey { id: NodeId(id), directory: None }, endpoints: Vec::new() });
        let settings = Settings { voters: VoterSet::new(voters), ..settings(KraftVersion::Static) };
        let error = Raft::start(settings, None, log_end(0, 0)).unwrap_err();
        assert_eq!(error, RaftError::OtherVoters { voters: vec![NodeId(1), NodeId(2)], local: NodeId(1) });
    }

    #[test]
    fn epochs_that_are_used_up_are_an_error_and_not_a_wrap() {
        let persisted = Some(leader_election(i32::MAX));
        let error = Raft::start(settings(KraftVersion::Static), persisted, log_end(1, 1)).unwrap_err();
        assert_eq!(error, RaftError::EpochsExhausted(LeaderEpoch(i32::MAX)));
    }
}

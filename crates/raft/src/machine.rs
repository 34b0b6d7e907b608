use crate::connections::Connections;
use crate::fetch::ParkedFetch;
use crate::jitter::Jitter;
use crate::role::{Nomination, ResignedState};
use crate::settings::Settings;
use crate::{
    Call, ControllerEndpoint, Effect, ElectionState, Event, Fault, KraftVersion, LogState, Request, Response, Role,
    SnapshotId, VoterSet,
};
use core::time::Duration;
use ottla_types::{LeaderEpoch, NodeId, Offset};
use std::collections::VecDeque;

/// One replica of the metadata quorum.
///
/// Invariants: the epoch never falls; within an epoch this replica votes once and knows one leader; nothing is sent or
/// appended that rests on an election state before [`Effect::PersistElection`] made that durable; nothing is claimed of
/// the log that a crash could take away; what is committed is never truncated.
#[derive(Clone, Debug)]
pub struct Raft {
    pub(crate) settings: Settings,
    pub(crate) election: ElectionState,
    /// What `quorum-state` says, or will once the effects so far are performed.
    pub(crate) durable_election: Option<ElectionState>,
    pub(crate) role: Role,
    pub(crate) log: LogState,
    /// Where the leader of the epoch is reached, if it is known.
    pub(crate) leader_endpoints: Vec<ControllerEndpoint>,
    pub(crate) committed: Option<Offset>,
    pub(crate) connections: Connections,
    pub(crate) jitter: Jitter,
    pub(crate) now: Duration,
    /// Fetches that wait at this leader for something new.
    pub(crate) parked: VecDeque<ParkedFetch>,
    /// The snapshot that the host is putting in the log's place. Until it is there, nobody can say where the log ends.
    pub(crate) installing: Option<SnapshotId>,
    /// The node stops.
    pub(crate) is_stopping: bool,
    /// What this step has led to so far.
    pub(crate) out: Vec<Effect>,
}

impl Raft {
    /// Starts a replica at the time `now` from what its directory holds. The only voter does not wait for an election
    /// timeout: it opens the next epoch at once.
    pub fn start(
        settings: Settings,
        persisted: Option<ElectionState>,
        log: LogState,
        now: Duration,
    ) -> (Self, Vec<Effect>) {
        let jitter = Jitter::new(settings.seed);
        // A snapshot is made of what is committed only.
        let committed = log.latest_snapshot().map(|id| id.0.offset).filter(|offset| *offset > Offset(0));
        let mut raft = Self {
            election: persisted.clone().unwrap_or(ElectionState::initial()),
            durable_election: persisted,
            role: Role::Unattached { election_deadline: now },
            leader_endpoints: Vec::new(),
            committed,
            connections: Connections::default(),
            jitter,
            now,
            parked: VecDeque::new(),
            installing: None,
            is_stopping: false,
            out: Vec::new(),
            log,
            settings,
        };
        raft.wake_up();
        if let Role::Follower(follower) = &raft.role {
            let (epoch, leader) = (raft.election.epoch, Some(follower.leader));
            raft.out.push(Effect::LeaderChanged { epoch, leader });
        }
        raft.poll();
        let effects = core::mem::take(&mut raft.out);
        (raft, effects)
    }

    /// The role in which a replica wakes up.
    fn wake_up(&mut self) {
        let local = self.settings.local;
        let log_epoch = self.log.end().epoch;
        if self.election.epoch < log_epoch {
            // The log has records of an epoch that the file does not know: the file is older, its vote means nothing now.
            self.election = ElectionState { epoch: log_epoch, leader: None, voted: None };
        }
        if self.voters().is_only_voter(&local) {
            self.become_prospective();
            return;
        }
        let deadline = self.election_deadline();
        self.role = match self.election.leader {
            // It may have lost records of this epoch that it never made durable, and must not write others in their place.
            Some(leader) if leader == local.id => Role::Resigned(ResignedState {
                election_deadline: Some(deadline),
                unacknowledged: self.voters().ids().filter(|id| *id != local.id).collect(),
                successors: Vec::new(),
            }),
            Some(leader) => {
                let endpoints = self.voters().get(leader).map(|voter| voter.endpoints.clone()).unwrap_or_default();
                self.follow_in_memory(leader, endpoints)
            }
            None if self.election.has_voted_for(&local) && self.is_voter() => {
                Role::Candidate(Nomination::new(&local, self.voters(), deadline))
            }
            None => Role::Unattached { election_deadline: deadline },
        };
    }

    /// Takes one event at the time `now` of a clock that never goes back, and returns what is to be done, in order. What
    /// has become due by then is done as well.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        self.now = now.max(self.now);
        match event {
            Event::Tick => {}
            Event::Appended { end } => self.appended(end),
            Event::Flushed { end } => self.flushed(end),
            Event::Called(call) => self.called(call),
            Event::Answered { request, response } => self.answered(request, response),
            Event::SendFailed { request, failure } => self.send_failed(request, failure),
            Event::SnapshotCreated { id, size } => self.log.snapshot_created(id, size),
            Event::SnapshotInstalled { id, size, version, voters } => {
                self.snapshot_installed(id, size, version, voters)
            }
            Event::SnapshotRefused { id } => self.snapshot_refused(id),
            Event::PrefixDeleted { id } => self.log.prefix_deleted(id),
            Event::Resign => self.resign(),
            Event::Stop => self.stop(),
        }
        self.poll();
        core::mem::take(&mut self.out)
    }

    fn called(&mut self, call: Call) {
        let Call { id, version, listener, request } = call;
        let response = match request {
            Request::Vote(request) => Response::Vote(self.handle_vote(version, &listener, &request)),
            Request::BeginQuorumEpoch(request) => {
                Response::BeginQuorumEpoch(self.handle_begin_epoch(version, &listener, &request))
            }
            Request::EndQuorumEpoch(request) => {
                Response::EndQuorumEpoch(self.handle_end_epoch(version, &listener, &request))
            }
            Request::Fetch(request) => return self.handle_fetch(id, version, listener, &request),
            Request::FetchSnapshot(request) => return self.handle_fetch_snapshot(id, version, &listener, &request),
            Request::AddRaftVoter(request) => return self.handle_add_voter(id, &request),
            Request::RemoveRaftVoter(request) => return self.handle_remove_voter(id, &request),
            Request::UpdateRaftVoter(request) => {
                Response::UpdateRaftVoter(self.handle_update_voter(&listener, &request))
            }
            // The host answers this one itself.
            Request::ApiVersions => return,
        };
        self.out.push(Effect::Reply { call: id, response });
    }

    /// The host has appended records of this leader.
    fn appended(&mut self, end: Offset) {
        let epoch = self.election.epoch;
        let base_offset = self.log.end().offset;
        if end > base_offset && self.is_leader() {
            let last_offset = Offset(end.0.saturating_sub(1));
            let batch = crate::BatchSummary { base_offset, last_offset, epoch, control: Vec::new() };
            self.note_append(&batch);
            self.release_fetches();
        }
    }

    /// Appends to what is known of the own log. A batch of one's own always fits.
    pub(crate) fn note_append(&mut self, batch: &crate::BatchSummary) {
        if let Err(error) = self.log.append(batch, self.election.epoch) {
            self.out.push(Effect::Fault(Fault::BadBatch(error)));
        }
    }

    fn flushed(&mut self, end: Offset) {
        if !self.log.flushed(end) {
            return;
        }
        let durable = self.log.durable_end().offset;
        if let Role::Leader(leader) = &mut self.role
            && let Some(high_watermark) = leader.local_flushed(durable)
        {
            self.leader_committed(high_watermark);
        }
    }

    /// The newest epoch seen.
    pub fn epoch(&self) -> LeaderEpoch {
        self.election.epoch
    }

    /// The leader of that epoch, if known. One that led and does so no more is none.
    pub fn leader(&self) -> Option<NodeId> {
        self.election.leader.filter(|leader| *leader != self.settings.local.id || self.is_leader())
    }

    /// Where the leader is reached, as far as it is known.
    pub fn leader_endpoints(&self) -> &[ControllerEndpoint] {
        &self.leader_endpoints
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

    /// The offset below which everything is committed, as far as a leader knows in its epoch, and any other replica at all.
    pub fn high_watermark(&self) -> Option<Offset> {
        match &self.role {
            Role::Leader(leader) => leader.high_watermark(),
            _ => self.committed,
        }
    }

    /// Where the local log ends.
    pub fn log_end_offset(&self) -> Offset {
        self.log.end().offset
    }

    /// What is known of the local log.
    pub fn log(&self) -> &LogState {
        &self.log
    }

    /// What the replica was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The newest voters: those of the log, committed or not, or those of the configuration.
    pub fn voters(&self) -> &VoterSet {
        self.log.voters_entry().map_or(&self.settings.static_voters, |(_, voters)| voters)
    }

    /// The newest level of `kraft.version`, committed or not.
    pub fn kraft_version(&self) -> KraftVersion {
        self.log.version()
    }

    /// Whether this replica is a voter.
    pub fn is_voter(&self) -> bool {
        self.voters().is_voter(&self.settings.local)
    }

    /// The file `quorum-state` of an election state.
    pub fn quorum_state_file(&self, election: &ElectionState) -> String {
        election.to_file(self.kraft_version(), self.voters())
    }

    /// Whether the host may make a snapshot of the image at that offset: everything in it is committed, and durable here, so
    /// that the log never ends before its newest snapshot; and it is a newer one.
    pub fn may_create_snapshot(&self, id: SnapshotId) -> bool {
        let is_committed = self.committed.is_some_and(|committed| id.0.offset <= committed);
        let is_durable = id.0.offset <= self.log.durable_end().offset;
        is_committed && is_durable && self.log.latest_snapshot().is_none_or(|latest| id > latest)
    }
}

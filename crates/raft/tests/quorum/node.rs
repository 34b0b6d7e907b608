//! A node: a directory, a clock of its own, and the machine while it runs.

use crate::disk::Disk;
use core::time::Duration;
use ottla_raft::{
    Address, CallId, ControllerEndpoint, ElectionState, Membership, Raft, ReplicaKey, Request, RequestId, Settings,
    Timeouts, Voter, VoterSet,
};
use ottla_types::NodeId;
use std::collections::BTreeMap;

pub(crate) const LISTENER: &str = "CONTROLLER";
pub(crate) const CLUSTER: &str = "simulated";

/// Who waits for the answer to a call.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The node and its start; `None` for an administrator.
    pub(crate) from: Option<(usize, u64, RequestId)>,
    pub(crate) version: i16,
    pub(crate) request: Request,
}

pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) disk: Disk,
    pub(crate) raft: Option<Raft>,
    /// Counts starts.
    pub(crate) start: u64,
    pub(crate) membership: Membership,
    pub(crate) fetch_bytes_max: i32,
    /// It is of a release before KIP-996, as far as others ask it.
    pub(crate) knows_no_trials: bool,
    pub(crate) port: u16,
    pub(crate) static_voters: VoterSet,
    pub(crate) bootstrap_servers: Vec<Address>,
    /// Milliseconds of its clock in a second of the world's.
    pub(crate) clock_rate: u64,
    /// The epoch in which its controller is active.
    pub(crate) active: Option<i32>,
    /// The offset below which it has seen everything committed, in this start.
    pub(crate) committed: i64,
    pub(crate) calls: BTreeMap<CallId, Caller>,
    pub(crate) wake_at: Option<u64>,
    /// Whether it led when the step began whose effects are performed.
    pub(crate) led_before: bool,
}

impl Node {
    pub(crate) fn key(&self) -> ReplicaKey {
        ReplicaKey::new(self.id, self.disk.directory)
    }

    pub(crate) fn endpoints(&self) -> Vec<ControllerEndpoint> {
        vec![ControllerEndpoint { name: LISTENER.to_owned(), host: host(self.id), port: self.port }]
    }

    pub(crate) fn voter(&self) -> Voter {
        Voter::new(self.key(), self.endpoints())
    }

    pub(crate) fn local_time(&self, now: u64) -> Duration {
        Duration::from_millis(now * self.clock_rate / 1_000)
    }

    /// When the world's clock shows what makes this one show `local`.
    pub(crate) fn world_time(&self, local: Duration) -> u64 {
        let local_ms = (local.as_nanos() as u64).div_ceil(1_000_000);
        (local_ms * 1_000).div_ceil(self.clock_rate) + 1
    }

    pub(crate) fn settings(&self, seed: u64) -> Settings {
        let endpoints = if self.membership == Membership::Observer { Vec::new() } else { self.endpoints() };
        Settings {
            local: self.key(),
            cluster_id: CLUSTER.to_owned(),
            listener: LISTENER.to_owned(),
            endpoints,
            static_voters: self.static_voters.clone(),
            bootstrap_servers: self.bootstrap_servers.clone(),
            membership: self.membership,
            timeouts: Timeouts::default(),
            fetch_bytes_max: self.fetch_bytes_max,
            fetch_snapshot_bytes_max: 200,
            seed,
        }
    }

    pub(crate) fn persisted(&self) -> Option<ElectionState> {
        self.disk.quorum_state.as_deref().map(|text| ElectionState::from_file(text).expect("the file is whole"))
    }
}

pub(crate) fn host(id: NodeId) -> String {
    format!("n{}", id.0)
}

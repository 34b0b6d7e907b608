use crate::{ControllerEndpoint, ReplicaKey, Voter, VoterSet};
use core::time::Duration;

/// What a replica is told about itself and its quorum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// This replica. Its directory must be known.
    pub local: ReplicaKey,
    /// The id of the cluster; requests that name another are refused.
    pub cluster_id: String,
    /// The name of the listener on which replicas talk to each other: the first of `controller.listener.names`.
    pub listener: String,
    /// Where this replica is reached; empty for one that is never a voter.
    pub endpoints: Vec<ControllerEndpoint>,
    /// `controller.quorum.voters`; they count as long as the log has no voters of its own.
    pub static_voters: VoterSet,
    /// `controller.quorum.bootstrap.servers`: whom to ask for the leader. The static voters, if there are none.
    pub bootstrap_servers: Vec<Address>,
    /// What part the replica may take.
    pub membership: Membership,
    /// How long things take.
    pub timeouts: Timeouts,
    /// `controller.quorum.fetch.max.bytes`.
    pub fetch_bytes_max: i32,
    /// `controller.quorum.fetch.snapshot.max.bytes`.
    pub fetch_snapshot_bytes_max: i32,
    /// Where the replica's chance starts; another one for each start of a node.
    pub seed: u64,
}

impl Settings {
    /// This replica as it would stand among the voters.
    pub fn local_voter(&self) -> Voter {
        Voter::new(self.local, self.endpoints.clone())
    }
}

/// A host and a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Address {
    /// A host name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What part a replica may take in the quorum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// It only follows: a broker.
    Observer,
    /// It is a voter when the voter set names it: a controller.
    Voter,
    /// A controller that makes itself a voter (`controller.quorum.auto.join.enable`), also in place of an earlier
    /// directory of its own.
    AutoJoin,
}

/// The periods of `controller.quorum.*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// `election.timeout.ms`: how long an election may take; each is spread over once to twice this.
    pub election: Duration,
    /// `fetch.timeout.ms`: how long a follower believes in a leader of which it hears nothing. A leader believes in itself
    /// half as long again.
    pub fetch: Duration,
    /// `election.backoff.max.ms`: the longest that a resigning leader lets a successor wait.
    pub election_backoff_max: Duration,
    /// `request.timeout.ms`: after this an unanswered request counts as lost.
    pub request: Duration,
    /// `retry.backoff.ms`: how long a replica that refused or did not answer is left alone.
    pub retry_backoff: Duration,
    /// How long a fetch may wait at the leader for something new. Kafka's figure is half a second.
    pub fetch_wait_max: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            election: Duration::from_millis(1_000),
            fetch: Duration::from_millis(2_000),
            election_backoff_max: Duration::from_millis(1_000),
            request: Duration::from_millis(2_000),
            retry_backoff: Duration::from_millis(20),
            fetch_wait_max: Duration::from_millis(500),
        }
    }
}

//! One state, one step, all that follows: a voter of three, with what Apache Kafka answers in the same place.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use core::time::Duration;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AddRaftVoterRequest, BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchRequest, FetchSnapshotRequest,
    RemoveRaftVoterRequest, UpdateRaftVoterRequest, VoteRequest, VoteResponse, begin_quorum_epoch_request,
    end_quorum_epoch_request, fetch_request, fetch_snapshot_request, vote_request, vote_response,
};
use ottla_raft::{
    Call, CallId, ControllerEndpoint, Effect, ElectionState, Event, Fault, LogState, Membership, Raft, ReplicaKey,
    Request, RequestId, Response, Role, SendFailure, Settings, Timeouts, Voter, VoterSet,
};
use ottla_types::{DirectoryId, LeaderEpoch, NodeId, Offset, Uuid};

const TOPIC: &str = "__cluster_metadata";

fn endpoints(id: i32) -> Vec<ControllerEndpoint> {
    vec![ControllerEndpoint { name: "CONTROLLER".to_owned(), host: format!("n{id}"), port: 9093 }]
}

fn settings() -> Settings {
    let voter = |id| Voter::new(ReplicaKey { id: NodeId(id), directory: None }, endpoints(id));
    Settings {
        local: ReplicaKey::new(NodeId(1), DirectoryId::from_u128(0xd1)),
        cluster_id: "c".to_owned(),
        listener: "CONTROLLER".to_owned(),
        endpoints: endpoints(1),
        static_voters: VoterSet::new([1, 2, 3].map(voter)),
        bootstrap_servers: Vec::new(),
        membership: Membership::Voter,
        timeouts: Timeouts::default(),
        fetch_bytes_max: 1 << 20,
        fetch_snapshot_bytes_max: 1 << 20,
        seed: 1,
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Replica {
    raft: Raft,
    now: Duration,
    calls: u64,
}

impl Replica {
    fn new(persisted: Option<ElectionState>) -> Self {
        let (raft, _) = Raft::start(settings(), persisted, LogState::default(), ms(0));
        Self { raft, now: ms(0), calls: 0 }
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        self.raft.step(self.now, event)
    }

    /// Lets time go by until the next role.
    fn wait_for(&mut self, role: &str) -> Vec<Effect> {
        for _ in 0..1_000 {
            self.now = self.raft.next_deadline().expect("something is due");
            let effects = self.step(Event::Tick);
            if self.raft.role().name() == role {
                return effects;
            }
        }
        panic!("never {role}, but {}", self.raft.role().name());
    }

    fn call(&mut self, request: Request) -> (Vec<Effect>, Response) {
        self.calls += 1;
        let id = CallId(self.calls);
        let version = if matches!(request, Request::Fetch(_)) { 18 } else { 1 };
        let mut effects = self.step(Event::Called(Call { id, version, listener: "CONTROLLER".to_owned(), request }));
        let position = effects.iter().position(|effect| matches!(effect, Effect::Reply { call, .. } if *call == id));
        match effects.remove(position.expect("an answer at once")) {
            Effect::Reply { response, .. } => (effects, response),
            _ => unreachable!(),
        }
    }

    fn vote(&mut self, candidate: i32, epoch: i32, pre_vote: bool) -> (Vec<Effect>, vote_response::PartitionData) {
        self.vote_with(vote_request::PartitionData {
            replica_epoch: epoch,
            replica_id: candidate,
            pre_vote,
            ..Default::default()
        })
    }

    fn vote_with(&mut self, partition: vote_request::PartitionData) -> (Vec<Effect>, vote_response::PartitionData) {
        let (effects, response) = self.call(Request::Vote(vote_of(partition)));
        let Response::Vote(mut response) = response else { panic!("{response:?}") };
        (effects, response.topics.remove(0).partitions.remove(0))
    }

    fn begin_epoch(&mut self, leader: i32, epoch: i32) -> i16 {
        let partition =
            begin_quorum_epoch_request::PartitionData { leader_id: leader, leader_epoch: epoch, ..Default::default() };
        let topic = begin_quorum_epoch_request::TopicData {
            topic_name: TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let (_, response) =
            self.call(Request::BeginQuorumEpoch(BeginQuorumEpochRequest { topics: vec![topic], ..Default::default() }));
        let Response::BeginQuorumEpoch(response) = response else { panic!("{response:?}") };
        response.topics[0].partitions[0].error_code
    }

    fn leader() -> Self {
        let mut replica = Self::new(None);
        let effects = replica.wait_for("prospective");
        answer_votes(&mut replica, &effects, true);
        assert_eq!(replica.raft.role().name(), "leader");
        replica
    }
}

fn vote_of(partition: vote_request::PartitionData) -> VoteRequest {
    let topic =
        vote_request::TopicData { topic_name: TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
    VoteRequest { topics: vec![topic], ..Default::default() }
}

fn votes_asked(effects: &[Effect]) -> Vec<(RequestId, vote_request::PartitionData)> {
    let asked = effects.iter().filter_map(|effect| match effect {
        Effect::Send { request, message: Request::Vote(vote), .. } => {
            Some((*request, vote.topics[0].partitions[0].clone()))
        }
        _ => None,
    });
    asked.collect()
}

/// Answers the first request for a vote in trial, and then the first in earnest.
fn answer_votes(replica: &mut Replica, effects: &[Effect], is_granted: bool) {
    let asked = votes_asked(effects);
    let epoch = replica.raft.epoch().0;
    let answer = |request, epoch| {
        let partition = vote_response::PartitionData {
            leader_id: -1,
            leader_epoch: epoch,
            vote_granted: is_granted,
            ..Default::default()
        };
        let topic = vote_response::TopicData {
            topic_name: TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let response = Response::Vote(VoteResponse { topics: vec![topic], ..Default::default() });
        Event::Answered { request, response }
    };
    let effects = replica.step(answer(asked[0].0, epoch));
    if let [(request, _), ..] = votes_asked(&effects)[..] {
        replica.step(answer(request, epoch + 1));
    }
}

fn error(code: ErrorCode) -> i16 {
    code.code()
}

#[test]
fn a_voter_that_hears_nothing_first_asks_in_trial_and_opens_an_epoch_only_when_it_could_win() {
    let mut replica = Replica::new(None);
    let effects = replica.wait_for("prospective");
    assert!((ms(1_000)..ms(2_000)).contains(&replica.now));
    let asked = votes_asked(&effects);
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|(_, vote)| vote.pre_vote && vote.replica_epoch == 0 && vote.replica_id == 1));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::PersistElection(_))));
    answer_votes(&mut replica, &effects, true);
    assert_eq!((replica.raft.role().name(), replica.raft.epoch()), ("leader", LeaderEpoch(1)));
}

#[test]
fn the_vote_for_oneself_is_durable_before_it_is_told() {
    let mut replica = Replica::new(None);
    let effects = replica.wait_for("prospective");
    let failed = Event::SendFailed { request: votes_asked(&effects)[0].0, failure: SendFailure::UnsupportedVersion };
    // A voter that knows no trials can only be asked in earnest.
    let effects = replica.step(failed);
    let voted = Some(settings().local);
    let persist = Effect::PersistElection(ElectionState { epoch: LeaderEpoch(1), leader: None, voted });
    assert_eq!(effects[0], persist);
    assert!(votes_asked(&effects).iter().all(|(_, vote)| !vote.pre_vote && vote.replica_epoch == 1));
}

#[test]
fn one_vote_is_given_in_an_epoch_and_written_before_it_is_told() {
    let mut replica = Replica::new(None);
    let (effects, told) = replica.vote(2, 5, false);
    assert!(told.vote_granted);
    let voted = Some(ReplicaKey { id: NodeId(2), directory: None });
    let persist = Effect::PersistElection(ElectionState { epoch: LeaderEpoch(5), leader: None, voted });
    assert!(effects.contains(&persist), "{effects:?}");
    assert!(!replica.vote(3, 5, false).1.vote_granted);
    assert!(replica.vote(2, 5, false).1.vote_granted);
    assert_eq!(replica.vote(3, 4, false).1.error_code, error(ErrorCode::FencedLeaderEpoch));
    // In trial, it costs nothing.
    assert!(replica.vote(3, 5, true).1.vote_granted);
}

#[test]
fn a_vote_is_not_given_to_a_shorter_log() {
    let mut replica = Replica::leader();
    replica.step(Event::Flushed { end: Offset(1) });
    assert!(!replica.vote(2, 9, false).1.vote_granted);
    let longer = vote_request::PartitionData {
        replica_epoch: 9,
        replica_id: 3,
        last_offset: 1,
        last_offset_epoch: 1,
        ..Default::default()
    };
    assert!(replica.vote_with(longer).1.vote_granted);
}

#[test]
fn a_vote_for_another_cluster_directory_or_topic_is_refused() {
    let mut replica = Replica::new(None);
    let fine = vote_request::PartitionData { replica_epoch: 3, replica_id: 2, ..Default::default() };
    let request = |change: &dyn Fn(&mut VoteRequest)| {
        let mut request = vote_of(fine.clone());
        change(&mut request);
        Request::Vote(request)
    };
    let mut code = |request: Request| match replica.call(request).1 {
        Response::Vote(response) => (response.error_code, response.topics.first().map(|t| t.partitions[0].error_code)),
        other => panic!("{other:?}"),
    };
    let top = |error: ErrorCode| (error.code(), None);
    let invalid = top(ErrorCode::InvalidRequest);
    assert_eq!(code(request(&|r| r.cluster_id = Some("d".to_owned()))), top(ErrorCode::InconsistentClusterId));
    assert_eq!(code(request(&|r| r.topics.clear())), invalid);
    assert_eq!(code(request(&|r| r.topics.push(r.topics[0].clone()))), invalid);
    assert_eq!(code(request(&|r| r.topics[0].partitions.clear())), invalid);
    assert_eq!(code(request(&|r| r.topics[0].topic_name = "t".to_owned())), invalid);
    assert_eq!(code(request(&|r| r.topics[0].partitions[0].partition_index = 1)), invalid);
    let partition = |error: ErrorCode| (0, Some(error.code()));
    let invalid = partition(ErrorCode::InvalidRequest);
    assert_eq!(code(request(&|r| r.topics[0].partitions[0].last_offset = -1)), invalid);
    assert_eq!(code(request(&|r| r.topics[0].partitions[0].last_offset_epoch = 3)), invalid);
    assert_eq!(code(request(&|r| r.topics[0].partitions[0].replica_id = -1)), invalid);
    let other_voter = |r: &mut VoteRequest| {
        r.voter_id = 1;
        r.topics[0].partitions[0].voter_directory_id = DirectoryId::from_u128(7);
    };
    assert_eq!(code(request(&other_voter)), partition(ErrorCode::InvalidVoterKey));
    assert_eq!(replica.raft.voted(), None);
}

#[test]
fn a_follower_says_yes_in_trial_only_until_its_leader_answers() {
    let mut replica = Replica::new(None);
    assert_eq!(replica.begin_epoch(2, 4), error(ErrorCode::None));
    assert!(replica.vote(3, 4, true).1.vote_granted);
    assert!(!replica.vote(3, 4, false).1.vote_granted);
    assert_eq!(replica.raft.leader(), Some(NodeId(2)));
}

#[test]
fn an_epoch_has_one_leader() {
    let mut replica = Replica::new(None);
    replica.begin_epoch(2, 4);
    assert_eq!(replica.begin_epoch(3, 4), error(ErrorCode::InvalidRequest));
    assert_eq!(replica.raft.leader(), Some(NodeId(2)));
    assert_eq!(replica.begin_epoch(3, 3), error(ErrorCode::FencedLeaderEpoch));
    assert_eq!(replica.begin_epoch(3, 5), error(ErrorCode::None));
    assert_eq!((replica.raft.leader(), replica.raft.epoch()), (Some(NodeId(3)), LeaderEpoch(5)));
}

#[test]
fn a_replica_that_has_lost_its_files_does_not_vote_in_the_epoch_that_it_led() {
    let mut replica = Replica::new(None);
    assert_eq!(replica.begin_epoch(1, 7), error(ErrorCode::None));
    assert!(!replica.vote(2, 7, false).1.vote_granted);
    assert_eq!(replica.raft.leader(), None);
}

#[test]
fn a_successor_stands_for_election_without_waiting_for_its_timeout() {
    let mut replica = Replica::new(None);
    replica.begin_epoch(2, 4);
    let partition = end_quorum_epoch_request::PartitionData {
        leader_id: 2,
        leader_epoch: 4,
        preferred_successors: vec![1, 3],
        ..Default::default()
    };
    let topic = end_quorum_epoch_request::TopicData {
        topic_name: TOPIC.to_owned(),
        partitions: vec![partition],
        ..Default::default()
    };
    replica.call(Request::EndQuorumEpoch(EndQuorumEpochRequest { topics: vec![topic], ..Default::default() }));
    assert_eq!(replica.raft.role().name(), "prospective");
}

fn fetch(epoch: i32, offset: i64, last_epoch: i32, change: impl Fn(&mut FetchRequest)) -> Request {
    let partition = fetch_request::FetchPartition {
        current_leader_epoch: epoch,
        fetch_offset: offset,
        last_fetched_epoch: last_epoch,
        ..Default::default()
    };
    let topic =
        fetch_request::FetchTopic { topic_id: Uuid::METADATA_TOPIC, partitions: vec![partition], ..Default::default() };
    let replica_state = fetch_request::ReplicaState { replica_id: 2, ..Default::default() };
    let mut request = FetchRequest { replica_state, topics: vec![topic], max_bytes: 1_000, ..Default::default() };
    change(&mut request);
    Request::Fetch(request)
}

#[test]
fn a_fetch_is_fenced_by_its_epoch_and_refused_if_it_makes_no_sense() {
    let mut replica = Replica::leader();
    let mut code = |request: Request| match replica.call(request).1 {
        Response::Fetch(response, _) => {
            response.responses.first().map_or(response.error_code, |topic| topic.partitions[0].error_code)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(code(fetch(0, 0, 0, |_| ())), error(ErrorCode::FencedLeaderEpoch));
    assert_eq!(code(fetch(2, 0, 0, |_| ())), error(ErrorCode::UnknownLeaderEpoch));
    for bad in [fetch(1, -1, 0, |_| ()), fetch(1, 0, -1, |_| ()), fetch(1, 0, 2, |_| ())] {
        assert_eq!(code(bad), error(ErrorCode::InvalidRequest));
    }
    assert_eq!(code(fetch(1, 0, 0, |r| r.max_wait_ms = -1)), error(ErrorCode::InvalidRequest));
    assert_eq!(code(fetch(1, 0, 0, |r| r.topics.clear())), error(ErrorCode::InvalidRequest));
    assert_eq!(code(fetch(1, 0, 0, |r| r.topics[0].topic_id = Uuid::ZERO)), error(ErrorCode::InvalidRequest));
    let other = fetch(1, 0, 0, |r| r.cluster_id = Some("d".to_owned()));
    assert_eq!(code(other), error(ErrorCode::InconsistentClusterId));
    let mut follower = Replica::new(None);
    follower.begin_epoch(2, 1);
    let Response::Fetch(response, _) = follower.call(fetch(1, 0, 0, |_| ())).1 else { panic!() };
    let partition = &response.responses[0].partitions[0];
    assert_eq!(partition.error_code, error(ErrorCode::NotLeaderOrFollower));
    // It says who leads, and where.
    assert_eq!((partition.current_leader.leader_id, &*response.node_endpoints[0].host), (2, "n2"));
}

#[test]
fn a_fetch_at_the_end_waits_for_a_record_or_for_news_of_what_is_committed() {
    let mut replica = Replica::leader();
    replica.step(Event::Flushed { end: Offset(1) });
    let wait = |high_watermark| {
        fetch(1, 1, 1, move |request| {
            request.max_wait_ms = 500;
            request.topics[0].partitions[0].high_watermark = high_watermark;
        })
    };
    let call =
        |id, request| Event::Called(Call { id: CallId(id), version: 18, listener: "CONTROLLER".to_owned(), request });
    // The first shows that a majority has the first record: that is news.
    let effects = replica.step(call(100, wait(-1)));
    assert_eq!(
        effects[..2],
        [Effect::HighWatermarkAdvanced(Offset(1)), Effect::BecameLeader { epoch: LeaderEpoch(1) }]
    );
    assert!(matches!(effects[2], Effect::Reply { call: CallId(100), .. }));
    assert_eq!(replica.step(call(101, wait(1))), []);
    let effects = replica.step(Event::Appended { end: Offset(2) });
    assert!(matches!(effects[..], [Effect::ReplyWithRecords { call: CallId(101), offset: Offset(1), .. }]));
    // In the end the time runs out.
    let effects = replica.step(call(
        102,
        fetch(1, 2, 1, |r| {
            r.max_wait_ms = 500;
            r.topics[0].partitions[0].high_watermark = 1;
        }),
    ));
    assert_eq!(effects, []);
    replica.now += ms(500);
    let effects = replica.step(Event::Tick);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Reply { call: CallId(102), .. })), "{effects:?}");
}

#[test]
fn a_snapshot_is_refused_where_there_is_none() {
    let mut replica = Replica::leader();
    let request = |topics: Vec<fetch_snapshot_request::TopicSnapshot>| {
        Request::FetchSnapshot(FetchSnapshotRequest { topics, max_bytes: 100, ..Default::default() })
    };
    let topic = |name: &str, position| {
        let partition =
            fetch_snapshot_request::PartitionSnapshot { current_leader_epoch: 1, position, ..Default::default() };
        fetch_snapshot_request::TopicSnapshot {
            name: name.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        }
    };
    let mut code = |request: Request| match replica.call(request).1 {
        Response::FetchSnapshot(response) => {
            (response.error_code, response.topics.first().map(|topic| topic.partitions[0].error_code))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(code(request(vec![])), (error(ErrorCode::InvalidRequest), None));
    assert_eq!(code(request(vec![topic(TOPIC, 0), topic(TOPIC, 0)])), (error(ErrorCode::InvalidRequest), None));
    let unknown = Some(error(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(code(request(vec![topic("t", 0)])), (0, unknown));
    assert_eq!(code(request(vec![topic(TOPIC, 0)])), (0, Some(error(ErrorCode::SnapshotNotFound))));
}

#[test]
fn static_voters_can_not_be_changed_but_may_say_what_they_are() {
    let mut replica = Replica::leader();
    replica.step(Event::Flushed { end: Offset(1) });
    replica.step(Event::Called(Call {
        id: CallId(50),
        version: 18,
        listener: "CONTROLLER".to_owned(),
        request: fetch(1, 1, 1, |_| ()),
    }));
    let directory = DirectoryId::from_u128(9);
    let add = AddRaftVoterRequest {
        cluster_id: None,
        voter_id: 4,
        voter_directory_id: directory,
        listeners: vec![ottla_protocol::messages::add_raft_voter_request::Listener {
            name: "CONTROLLER".to_owned(),
            host: "n4".to_owned(),
            port: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    let Response::AddRaftVoter(told) = replica.call(Request::AddRaftVoter(add.clone())).1 else { panic!() };
    assert_eq!(told.error_code, error(ErrorCode::UnsupportedVersion));
    let nowhere = AddRaftVoterRequest { listeners: Vec::new(), ..add };
    let Response::AddRaftVoter(told) = replica.call(Request::AddRaftVoter(nowhere)).1 else { panic!() };
    assert_eq!(told.error_code, error(ErrorCode::InvalidRequest));
    let remove =
        RemoveRaftVoterRequest { cluster_id: None, voter_id: 2, voter_directory_id: directory, ..Default::default() };
    let Response::RemoveRaftVoter(told) = replica.call(Request::RemoveRaftVoter(remove)).1 else { panic!() };
    assert_eq!(told.error_code, error(ErrorCode::UnsupportedVersion));
    let mut update = UpdateRaftVoterRequest {
        cluster_id: Some("c".to_owned()),
        current_leader_epoch: 1,
        voter_id: 2,
        voter_directory_id: directory,
        listeners: vec![(&endpoints(2)[0]).into()],
        ..Default::default()
    };
    update.kraft_version_feature.max_supported_version = 1;
    let Response::UpdateRaftVoter(told) = replica.call(Request::UpdateRaftVoter(update.clone())).1 else { panic!() };
    assert_eq!(told.error_code, error(ErrorCode::None));
    let stranger = UpdateRaftVoterRequest { voter_id: 8, ..update };
    let Response::UpdateRaftVoter(told) = replica.call(Request::UpdateRaftVoter(stranger)).1 else { panic!() };
    assert_eq!(told.error_code, error(ErrorCode::VoterNotFound));
    assert_eq!((told.current_leader.leader_id, &*told.current_leader.host), (1, "n1"));
}

#[test]
fn a_leader_without_followers_resigns_after_one_and_a_half_fetch_timeouts() {
    let mut replica = Replica::leader();
    let elected = replica.now;
    replica.wait_for("resigned");
    assert_eq!(replica.now - elected, ms(3_000));
    replica.wait_for("prospective");
    assert_eq!(replica.raft.epoch(), LeaderEpoch(2));
}

#[test]
fn an_epoch_that_has_no_successor_is_taken_over_and_never_passed() {
    let mut replica = Replica::new(None);
    assert!(replica.vote(2, i32::MAX, false).1.vote_granted);
    let effects = replica.wait_for("prospective");
    let asked = votes_asked(&effects);
    let partition = vote_response::PartitionData {
        leader_id: -1,
        leader_epoch: i32::MAX,
        vote_granted: true,
        ..Default::default()
    };
    let topic =
        vote_response::TopicData { topic_name: TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
    let response = Response::Vote(VoteResponse { topics: vec![topic], ..Default::default() });
    let effects = replica.step(Event::Answered { request: asked[0].0, response });
    assert!(effects.contains(&Effect::Fault(Fault::EpochsExhausted(LeaderEpoch(i32::MAX)))), "{effects:?}");
    assert!(matches!(replica.raft.role(), Role::Prospective(_)));
}

#[test]
fn a_replica_that_knows_who_leads_but_not_where_follows_whom_it_finds() {
    use ottla_protocol::messages::{FetchResponse, fetch_response};
    use ottla_raft::Address;
    // The leader of its file is no voter that it knows: it asks a bootstrap server.
    let bootstrap_servers = vec![Address { host: "b".to_owned(), port: 1 }];
    let settings = Settings { static_voters: VoterSet::default(), bootstrap_servers, ..settings() };
    let persisted = ElectionState { epoch: LeaderEpoch(4), leader: Some(NodeId(7)), voted: None };
    let (mut raft, effects) = Raft::start(settings, Some(persisted), LogState::default(), ms(0));
    let Some(Effect::Send { request, message: Request::Fetch(_), .. }) = effects.last() else { panic!("{effects:?}") };
    let current_leader = fetch_response::LeaderIdAndEpoch { leader_id: 7, leader_epoch: 4, ..Default::default() };
    let partition = fetch_response::PartitionData { current_leader, high_watermark: 0, ..Default::default() };
    let topic = fetch_response::FetchableTopicResponse {
        topic_id: Uuid::METADATA_TOPIC,
        partitions: vec![partition],
        ..Default::default()
    };
    let node = fetch_response::NodeEndpoint { node_id: 7, host: "n7".to_owned(), port: 9093, ..Default::default() };
    let response = FetchResponse { responses: vec![topic], node_endpoints: vec![node], ..Default::default() };
    let answer = Event::Answered { request: *request, response: Response::Fetch(response, Vec::new()) };
    let effects = raft.step(ms(1), answer);
    assert_eq!((raft.role().name(), raft.leader()), ("follower", Some(NodeId(7))));
    let asks_it = |effect: &Effect| matches!(effect, Effect::Send { to, .. } if to.address.host == "n7");
    assert!(effects.iter().any(asks_it), "{effects:?}");
}

//! Members of a classic consumer group: they join, one of them assigns, all commit how far they are, and some die, leave or are too
//! late. A partition has one owner in a generation, and committed offsets never go back.

use super::client::{Answer, Client, Outcome};
use super::members::{Commits, ON_THE_WAY_MAX};
use super::routes::Place;
use super::said;
use super::scene::{Scene, code, is_retriable};
use bytes::Bytes;
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const GROUP: &str = "classic";
const HEARTBEATS: Duration = Duration::from_millis(200);
const SESSION_MS: i32 = 2_000;
/// Less than a client waits for an answer, so that the answer to who joins comes in time.
const REBALANCE_MS: i32 = 1_000;
const PROTOCOL_TYPE: &str = "consumer";
const PROTOCOL: &str = "range";

/// What all members have seen of the group.
#[derive(Default)]
pub(crate) struct Generations {
    /// Who owns what in which generation, as the coordinator has told.
    owners: BTreeMap<(i32, Place), String>,
    commits: Commits,
}

impl Generations {
    /// **One owner.** In one generation a partition is told to belong to one member.
    fn check(&mut self, generation: i32, member: &str, assigned: &BTreeSet<Place>) {
        for place in assigned {
            let owner = self.owners.entry((generation, *place)).or_insert_with(|| member.to_owned());
            assert_eq!(owner, member, "one owner: {place:?} in generation {generation} of a classic group");
        }
    }
}

enum Phase {
    Join(Option<Answer<JoinGroupRequest>>),
    Sync(Vec<SyncGroupRequestAssignment>, Option<Answer<SyncGroupRequest>>),
    Stable,
}

pub(crate) struct ClassicMember {
    client: Client,
    /// What the coordinator calls it; empty for one that it does not know.
    id: String,
    generation: i32,
    phase: Phase,
    coordinator: Option<i32>,
    finding: Option<Answer<FindCoordinatorRequest>>,
    beating: Option<Answer<HeartbeatRequest>>,
    leaving: Option<Answer<LeaveGroupRequest>>,
    beat_at: Monotonic,
    assigned: BTreeSet<Place>,
    positions: BTreeMap<Place, i64>,
    fetching: Option<(Place, i64, i32, Answer<OffsetFetchRequest>)>,
    committing: Option<(Place, i64, Answer<OffsetCommitRequest>)>,
    /// Somebody wants the group to be balanced anew: it joins again once it has heard of its commit.
    rejoins: bool,
    /// It says nothing until then.
    dead_until: Monotonic,
}

impl ClassicMember {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            id: String::new(),
            generation: -1,
            phase: Phase::Join(None),
            coordinator: None,
            finding: None,
            beating: None,
            leaving: None,
            beat_at: Monotonic::default(),
            assigned: BTreeSet::new(),
            positions: BTreeMap::new(),
            fetching: None,
            committing: None,
            rejoins: false,
            dead_until: Monotonic::default(),
        }
    }

    pub(crate) fn advance(&mut self, scene: &mut Scene<'_>, generations: &mut Generations) {
        if scene.now < self.dead_until {
            return;
        }
        if !scene.is_closing && scene.one_in(2_000) {
            return self.go(scene);
        }
        self.take_offsets(scene, &mut generations.commits);
        let Some(coordinator) = self.coordinator else { return self.find(scene) };
        match std::mem::replace(&mut self.phase, Phase::Stable) {
            Phase::Join(asking) => self.join(scene, coordinator, asking),
            Phase::Sync(assignments, asking) => self.sync(scene, generations, coordinator, assignments, asking),
            Phase::Stable if self.rejoins && self.committing.is_none() => self.join_again(),
            Phase::Stable => {
                self.beat(scene, coordinator);
                self.fetch_offsets(coordinator, &generations.commits);
                if !self.rejoins && !scene.is_closing && scene.one_in(20) {
                    self.commit(scene, coordinator, &mut generations.commits);
                }
            }
        }
    }

    /// It dies without a word and comes back as another, or leaves, or is silent for so long that it may have been given up, and
    /// does not know of it.
    fn go(&mut self, scene: &Scene<'_>) {
        self.dead_until = scene.now + Duration::from_millis(scene.random.below(4_000));
        match scene.random.below(3) {
            0 => {}
            1 => self.become_unknown(),
            _ => {
                let (Some(coordinator), member_id) = (self.coordinator, self.id.clone()) else { return };
                let members = vec![MemberIdentity { member_id, ..Default::default() }];
                let request = LeaveGroupRequest { group_id: GROUP.to_owned(), members, ..Default::default() };
                self.leaving = Some(self.client.ask(coordinator, &request));
                self.become_unknown();
            }
        }
    }

    fn become_unknown(&mut self) {
        self.id.clear();
        self.join_again();
    }

    /// What it had may be somebody else's from now on.
    fn join_again(&mut self) {
        self.phase = Phase::Join(None);
        self.rejoins = false;
        self.assigned.clear();
        self.positions.clear();
        (self.beating, self.fetching, self.committing) = (None, None, None);
    }

    fn find(&mut self, scene: &Scene<'_>) {
        let finding = self.finding.take().unwrap_or_else(|| {
            let request =
                FindCoordinatorRequest { key_type: 0, coordinator_keys: vec![GROUP.to_owned()], ..Default::default() };
            self.client.ask(scene.some_broker(), &request)
        });
        match finding.take() {
            Outcome::Waiting => self.finding = Some(finding),
            Outcome::Answered(answer) if answer.coordinators[0].error_code == 0 => {
                self.coordinator = Some(answer.coordinators[0].node_id);
            }
            Outcome::Answered(_) | Outcome::Lost => {}
        }
    }

    fn join(&mut self, scene: &mut Scene<'_>, coordinator: i32, asking: Option<Answer<JoinGroupRequest>>) {
        let asking = asking.unwrap_or_else(|| {
            let protocol =
                JoinGroupRequestProtocol { name: PROTOCOL.to_owned(), metadata: subscription(), ..Default::default() };
            let request = JoinGroupRequest {
                group_id: GROUP.to_owned(),
                session_timeout_ms: SESSION_MS,
                rebalance_timeout_ms: REBALANCE_MS,
                member_id: self.id.clone(),
                protocol_type: PROTOCOL_TYPE.to_owned(),
                protocols: vec![protocol],
                ..Default::default()
            };
            self.client.ask(coordinator, &request)
        });
        self.phase = Phase::Join(None);
        match asking.take() {
            Outcome::Waiting => self.phase = Phase::Join(Some(asking)),
            Outcome::Lost => self.coordinator = None,
            Outcome::Answered(answer) => match code(answer.error_code) {
                ErrorCode::None => {
                    said::say(|| format!("-- {} has joined generation {}", answer.member_id, answer.generation_id));
                    self.joined(scene, answer);
                }
                ErrorCode::MemberIdRequired => self.id = answer.member_id,
                ErrorCode::UnknownMemberId => self.id.clear(),
                other => self.refused(other),
            },
        }
    }

    /// The leader of the generation says who gets what.
    fn joined(&mut self, scene: &mut Scene<'_>, answer: JoinGroupResponse) {
        scene.history.count("generations of classic members");
        (self.id, self.generation) = (answer.member_id, answer.generation_id);
        let mut members: Vec<String> = answer.members.into_iter().map(|member| member.member_id).collect();
        members.sort();
        assert_eq!(members.is_empty(), answer.leader != self.id, "the leader of a classic group learns of its members");
        let places = scene.routes.places("g-");
        let share = |(index, member_id): (usize, String)| {
            let own = places.iter().skip(index).step_by(members.len());
            let assignment = Bytes::from(own.flat_map(bytes_of).collect::<Vec<u8>>());
            SyncGroupRequestAssignment { member_id, assignment, ..Default::default() }
        };
        let assignments = members.clone().into_iter().enumerate().map(share).collect();
        self.phase = Phase::Sync(assignments, None);
    }

    fn sync(
        &mut self,
        scene: &mut Scene<'_>,
        generations: &mut Generations,
        coordinator: i32,
        assignments: Vec<SyncGroupRequestAssignment>,
        asking: Option<Answer<SyncGroupRequest>>,
    ) {
        let asking = asking.unwrap_or_else(|| {
            let request = SyncGroupRequest {
                group_id: GROUP.to_owned(),
                generation_id: self.generation,
                member_id: self.id.clone(),
                protocol_type: Some(PROTOCOL_TYPE.to_owned()),
                protocol_name: Some(PROTOCOL.to_owned()),
                assignments: assignments.clone(),
                ..Default::default()
            };
            self.client.ask(coordinator, &request)
        });
        match asking.take() {
            Outcome::Waiting => self.phase = Phase::Sync(assignments, Some(asking)),
            Outcome::Lost => {
                self.coordinator = None;
                self.phase = Phase::Sync(assignments, None);
            }
            Outcome::Answered(answer) => match code(answer.error_code) {
                ErrorCode::None => {
                    self.assigned = places_of(&answer.assignment);
                    said::say(|| {
                        format!(
                            "-- {} has in generation {} from {coordinator}: {:?}",
                            self.id, self.generation, self.assigned
                        )
                    });
                    generations.check(self.generation, &self.id, &self.assigned);
                    self.beat_at = scene.now + HEARTBEATS;
                    scene.history.count("assignments of classic members");
                }
                other => {
                    said::say(|| format!("-- {} has nothing of generation {}: {other:?}", self.id, self.generation));
                    self.phase = Phase::Sync(assignments, None);
                    self.refused(other);
                }
            },
        }
    }

    fn beat(&mut self, scene: &Scene<'_>, coordinator: i32) {
        let Some(beating) = self.beating.take() else {
            if self.beat_at <= scene.now {
                let request = HeartbeatRequest {
                    group_id: GROUP.to_owned(),
                    generation_id: self.generation,
                    member_id: self.id.clone(),
                    ..Default::default()
                };
                self.beating = Some(self.client.ask(coordinator, &request));
                self.beat_at = scene.now + HEARTBEATS;
            }
            return;
        };
        match beating.take() {
            Outcome::Waiting => self.beating = Some(beating),
            Outcome::Lost => self.coordinator = None,
            Outcome::Answered(answer) => match code(answer.error_code) {
                ErrorCode::None => {}
                other => self.refused(other),
            },
        }
    }

    fn fetch_offsets(&mut self, coordinator: i32, commits: &Commits) {
        let Some(place) = self.assigned.iter().find(|place| !self.positions.contains_key(*place)).copied() else {
            return;
        };
        if self.fetching.is_some() || self.committing.is_some() || self.rejoins {
            return;
        }
        let topic =
            OffsetFetchRequestTopics { topic_id: place.0, partition_indexes: vec![place.1], ..Default::default() };
        let group =
            OffsetFetchRequestGroup { group_id: GROUP.to_owned(), topics: Some(vec![topic]), ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
        self.fetching = Some((place, commits.known(&place), coordinator, self.client.ask(coordinator, &request)));
    }

    fn take_offsets(&mut self, scene: &mut Scene<'_>, commits: &mut Commits) {
        if let Some((place, acknowledged, asked, fetching)) = self.fetching.take() {
            match fetching.take() {
                Outcome::Waiting => self.fetching = Some((place, acknowledged, asked, fetching)),
                Outcome::Lost => self.coordinator = None,
                Outcome::Answered(answer) => {
                    let group = &answer.groups[0];
                    let told = group.topics.first().map(|topic| &topic.partitions[0]);
                    match (code(group.error_code), told) {
                        (ErrorCode::None, Some(told)) if told.error_code == 0 => {
                            if commits.check(scene.cluster, asked, place, told.committed_offset, acknowledged) {
                                self.positions.insert(place, told.committed_offset);
                            } else {
                                self.coordinator = None;
                            }
                        }
                        (ErrorCode::None, _) => {}
                        (other, _) => self.refused(other),
                    }
                }
            }
        }
        let Some((place, offset, committing)) = self.committing.take() else { return };
        match committing.take() {
            Outcome::Waiting => self.committing = Some((place, offset, committing)),
            // It may arrive yet, after what comes later. Another generation would keep it out, but a member that joins again need not
            // get one: it waits.
            Outcome::Lost => {
                (self.coordinator, self.rejoins) = (None, true);
                self.dead_until = scene.now + ON_THE_WAY_MAX;
            }
            Outcome::Answered(answer) => match code(answer.topics[0].partitions[0].error_code) {
                ErrorCode::None => {
                    commits.acknowledge(place, offset);
                    self.positions.insert(place, offset);
                    scene.history.count("offsets of classic members");
                }
                other => {
                    self.positions.remove(&place);
                    self.refused(other);
                }
            },
        }
    }

    fn commit(&mut self, scene: &Scene<'_>, coordinator: i32, commits: &mut Commits) {
        let owned: Vec<Place> = self.positions.keys().copied().collect();
        let (Some(place), true) = (scene.pick(&owned), self.committing.is_none()) else { return };
        let offset = self.positions[&place] + 1 + i64::try_from(scene.random.below(5)).unwrap();
        let partition =
            OffsetCommitRequestPartition { partition_index: place.1, committed_offset: offset, ..Default::default() };
        let topic = OffsetCommitRequestTopic { topic_id: place.0, partitions: vec![partition], ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: GROUP.to_owned(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics: vec![topic],
            ..Default::default()
        };
        commits.ask(place, offset);
        self.committing = Some((place, offset, self.client.ask(coordinator, &request)));
    }

    fn refused(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::RebalanceInProgress if matches!(self.phase, Phase::Sync(..)) => self.join_again(),
            ErrorCode::RebalanceInProgress => self.rejoins = true,
            ErrorCode::IllegalGeneration => self.join_again(),
            ErrorCode::UnknownMemberId => self.become_unknown(),
            other if is_retriable(other) => self.coordinator = None,
            other => panic!("{other:?} to a member of a classic group"),
        }
    }
}

/// A subscription as consumers write it: version 0, one topic, nothing of the user's.
fn subscription() -> Bytes {
    let name = b"g-offsets";
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, u8::try_from(name.len()).unwrap()];
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    Bytes::from(bytes)
}

fn bytes_of(place: &Place) -> Vec<u8> {
    let mut bytes = place.0.as_u128().to_be_bytes().to_vec();
    bytes.extend_from_slice(&place.1.to_be_bytes());
    bytes
}

fn places_of(bytes: &[u8]) -> BTreeSet<Place> {
    let place = |bytes: &[u8]| {
        let (topic, partition) = bytes.split_at(16);
        let topic = ottla_types::Uuid::from_u128(u128::from_be_bytes(topic.try_into().unwrap()));
        (topic, i32::from_be_bytes(partition.try_into().unwrap()))
    };
    bytes.chunks(20).map(place).collect()
}

//! Members of a consumer group (KIP-848) that commit how far they are. Committed offsets never go back, whoever owns a partition.

use super::client::{Answer, Client, Outcome};
use super::harness::cluster::Cluster;
use super::routes::Place;
use super::said;
use super::scene::{Scene, code, is_retriable};
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::{
    ConsumerGroupHeartbeatRequest, FindCoordinatorRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
};
use ottla_types::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often a member reports, here and in the configuration of the nodes.
const HEARTBEATS: Duration = Duration::from_millis(200);

/// Longer than any request is on its way.
pub(crate) const ON_THE_WAY_MAX: Duration = Duration::from_millis(500);

pub(crate) const GROUP: &str = "group";

/// What is known of a group's committed offsets.
#[derive(Default)]
pub(crate) struct Commits {
    /// The highest that was acknowledged.
    acknowledged: BTreeMap<Place, i64>,
    /// The highest that was asked for.
    asked: BTreeMap<Place, i64>,
}

impl Commits {
    /// **Committed offsets.** One that was acknowledged before somebody asked is what is told, or a later one. A coordinator that
    /// others have replaced, and that does not know of it, tells what it knows, in Apache Kafka as here: what it says is left
    /// alone, and `false` is the answer.
    pub(crate) fn check(&self, cluster: &Cluster, asked: i32, place: Place, told: i64, acknowledged: i64) -> bool {
        let most = self.asked.get(&place).copied().unwrap_or(-1);
        assert!(told <= most, "committed offsets: {told} of {place:?}, for which nobody asked (at most {most})");
        if told < acknowledged && coordinator(cluster) != asked {
            return false;
        }
        assert!(
            told >= acknowledged,
            "committed offsets: {told} of {place:?}, of which {acknowledged} was acknowledged"
        );
        true
    }

    pub(crate) fn known(&self, place: &Place) -> i64 {
        self.acknowledged.get(place).copied().unwrap_or(-1)
    }

    /// An answer may be heard after that of a later owner.
    pub(crate) fn acknowledge(&mut self, place: Place, offset: i64) {
        let known = self.acknowledged.entry(place).or_insert(offset);
        *known = offset.max(*known);
    }

    pub(crate) fn ask(&mut self, place: Place, offset: i64) {
        let asked = self.asked.entry(place).or_insert(offset);
        *asked = offset.max(*asked);
    }
}

/// Who leads the one partition of groups, as the brokers know that know most of it.
fn coordinator(cluster: &Cluster) -> i32 {
    let topic = MetadataRequestTopic { name: Some("__consumer_offsets".to_owned()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let brokers = cluster.living_ids().filter(|id| cluster.is_broker(*id));
    let told = brokers.flat_map(|id| cluster.node(id).ask(&request).topics).flat_map(|topic| topic.partitions);
    told.max_by_key(|partition| partition.leader_epoch).map_or(-1, |partition| partition.leader_id)
}

pub(crate) struct Member {
    client: Client,
    id: String,
    epoch: i32,
    coordinator: Option<i32>,
    finding: Option<Answer<FindCoordinatorRequest>>,
    reporting: Option<Answer<ConsumerGroupHeartbeatRequest>>,
    report_at: Monotonic,
    /// What the coordinator wants this member to have; `owned` is what it has told that it has.
    assigned: BTreeSet<Place>,
    /// Where it is in the partitions that it has, once it has asked.
    positions: BTreeMap<Place, i64>,
    fetching: Option<(Place, i64, i32, Answer<OffsetFetchRequest>)>,
    committing: Option<(Place, i64, Answer<OffsetCommitRequest>)>,
    /// A commit of which nothing was heard may arrive until then, after what is sent later: it could take the group back.
    settled_at: Monotonic,
    /// A member that is dead says nothing until then.
    dead_until: Monotonic,
    /// Each life of it is another member.
    incarnation: u128,
}

impl Member {
    pub(crate) fn new(number: u32, client: Client) -> Self {
        let incarnation = u128::from(number) << 64 | 1 << 32;
        Self {
            client,
            id: Uuid::from_u128(incarnation).to_string(),
            epoch: 0,
            coordinator: None,
            finding: None,
            reporting: None,
            report_at: Monotonic::default(),
            assigned: BTreeSet::new(),
            positions: BTreeMap::new(),
            fetching: None,
            committing: None,
            settled_at: Monotonic::default(),
            dead_until: Monotonic::default(),
            incarnation,
        }
    }

    pub(crate) fn advance(&mut self, scene: &mut Scene<'_>, commits: &mut Commits) {
        if scene.now < self.dead_until {
            return;
        }
        if !scene.is_closing && scene.one_in(2_000) {
            return self.die(scene);
        }
        self.take_offsets(scene, commits);
        let Some(coordinator) = self.coordinator else { return self.find(scene) };
        self.report(scene, coordinator);
        if self.settled_at <= scene.now {
            self.fetch_offsets(coordinator, commits);
        }
        if scene.one_in(20) {
            self.commit(scene, coordinator, commits);
        }
    }

    /// It goes without a word, and comes back as another member.
    fn die(&mut self, scene: &Scene<'_>) {
        self.incarnation += 1;
        self.id = Uuid::from_u128(self.incarnation).to_string();
        self.dead_until = scene.now + Duration::from_millis(scene.random.below(4_000));
        self.give_up();
    }

    fn give_up(&mut self) {
        self.epoch = 0;
        self.assigned.clear();
        self.positions.clear();
        (self.reporting, self.fetching, self.committing) = (None, None, None);
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

    fn report(&mut self, scene: &mut Scene<'_>, coordinator: i32) {
        if let Some(reporting) = self.reporting.take() {
            match reporting.take() {
                Outcome::Waiting => self.reporting = Some(reporting),
                Outcome::Lost => self.coordinator = None,
                Outcome::Answered(answer) => match code(answer.error_code) {
                    ErrorCode::None => self.obey(scene, answer.member_epoch, answer.assignment),
                    ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                        scene.history.count("fenced members");
                        self.give_up();
                    }
                    other if is_retriable(other) => self.coordinator = None,
                    other => panic!("{other:?} to a heartbeat of a member"),
                },
            }
            return;
        }
        // What it has under way in a partition that it is to give up comes first.
        let revoking = self.positions.keys().any(|place| !self.assigned.contains(place));
        if revoking && self.committing.is_none() && self.fetching.is_none() {
            self.positions.retain(|place, _| self.assigned.contains(place));
            self.report_at = scene.now;
        }
        if self.report_at > scene.now
            || self.committing.as_ref().is_some_and(|(place, ..)| !self.assigned.contains(place))
        {
            return;
        }
        self.report_at = scene.now + HEARTBEATS;
        let mut owned: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in self.positions.keys() {
            owned.entry(*topic).or_default().push(*partition);
        }
        let owned = owned.into_iter().map(|(topic_id, partitions)| TopicPartitions {
            topic_id,
            partitions,
            ..Default::default()
        });
        let request = ConsumerGroupHeartbeatRequest {
            group_id: GROUP.to_owned(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: 3_000,
            subscribed_topic_names: Some(vec!["g-offsets".to_owned()]),
            topic_partitions: Some(if self.epoch == 0 { Vec::new() } else { owned.collect() }),
            ..Default::default()
        };
        self.reporting = Some(self.client.ask(coordinator, &request));
    }

    fn obey(
        &mut self,
        scene: &mut Scene<'_>,
        epoch: i32,
        assignment: Option<ottla_protocol::messages::consumer_group_heartbeat_response::Assignment>,
    ) {
        assert!(epoch >= self.epoch, "epochs: the member epoch {epoch} after {}", self.epoch);
        self.epoch = epoch;
        let Some(assignment) = assignment else { return };
        scene.history.count("assignments");
        let places = assignment.topic_partitions.into_iter();
        let of_topic = |topic: ottla_protocol::messages::consumer_group_heartbeat_response::TopicPartitions| {
            topic.partitions.into_iter().map(move |partition| (topic.topic_id, partition))
        };
        self.assigned = places.flat_map(of_topic).collect();
    }

    /// Asks where the group is in a partition that is new to this member.
    fn fetch_offsets(&mut self, coordinator: i32, commits: &Commits) {
        if self.fetching.is_some() || self.epoch == 0 {
            return;
        }
        let Some(place) = self.assigned.iter().find(|place| !self.positions.contains_key(*place)).copied() else {
            return;
        };
        let topic =
            OffsetFetchRequestTopics { topic_id: place.0, partition_indexes: vec![place.1], ..Default::default() };
        let group = OffsetFetchRequestGroup {
            group_id: GROUP.to_owned(),
            member_id: Some(self.id.clone()),
            member_epoch: self.epoch,
            topics: Some(vec![topic]),
            ..Default::default()
        };
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
                                scene.history.count("fetched offsets");
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
        if let Some((place, offset, committing)) = self.committing.take() {
            match committing.take() {
                Outcome::Waiting => self.committing = Some((place, offset, committing)),
                // Where it is now, only the coordinator knows.
                Outcome::Lost => {
                    said::say(|| format!("-- {} hears nothing of {offset} of {place:?}", self.id));
                    self.positions.remove(&place);
                    self.coordinator = None;
                    self.settled_at = scene.now + ON_THE_WAY_MAX;
                }
                Outcome::Answered(answer) => match code(answer.topics[0].partitions[0].error_code) {
                    ErrorCode::None => {
                        said::say(|| format!("-- {} has committed {offset} of {place:?}", self.id));
                        commits.acknowledge(place, offset);
                        self.positions.insert(place, offset);
                        scene.history.count("committed offsets");
                    }
                    other => {
                        self.positions.remove(&place);
                        self.refused(other);
                    }
                },
            }
        }
    }

    fn refused(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::StaleMemberEpoch => self.report_at = Monotonic::default(),
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId | ErrorCode::GroupIdNotFound => self.give_up(),
            other if is_retriable(other) => self.coordinator = None,
            other => panic!("{other:?} to a member"),
        }
    }

    fn commit(&mut self, scene: &Scene<'_>, coordinator: i32, commits: &mut Commits) {
        let owned: Vec<Place> = self.positions.keys().filter(|place| self.assigned.contains(*place)).copied().collect();
        if self.committing.is_some() || scene.is_closing {
            return;
        }
        let Some(place) = scene.pick(&owned) else { return };
        let offset = self.positions[&place] + 1 + i64::try_from(scene.random.below(5)).unwrap();
        let partition =
            OffsetCommitRequestPartition { partition_index: place.1, committed_offset: offset, ..Default::default() };
        let topic = OffsetCommitRequestTopic { topic_id: place.0, partitions: vec![partition], ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: GROUP.to_owned(),
            generation_id_or_member_epoch: self.epoch,
            member_id: self.id.clone(),
            topics: vec![topic],
            ..Default::default()
        };
        said::say(|| format!("-- {} of epoch {} commits {offset} of {place:?}", self.id, self.epoch));
        commits.ask(place, offset);
        self.committing = Some((place, offset, self.client.ask(coordinator, &request)));
    }
}

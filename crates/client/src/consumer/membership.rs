use super::assignor::{Assignment, Assignor, Member};
use super::protocol;
use super::settings::ConsumerSettings;
use crate::admin::decode_assignment;
use crate::cluster::{AutoCreate, Cluster, CoordinatorKind, Retry, is_stale};
use crate::error::{ClientError, Result, check};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The protocol type of consumers' groups.
const PROTOCOL_TYPE: &str = "consumer";
/// How much longer than the rebalance itself the answer to a join is waited for, as Kafka's clients do.
const JOIN_ALLOWANCE: Duration = Duration::from_secs(5);

/// What a member brings when it joins.
#[derive(Clone, Debug)]
pub(super) struct Joining {
    pub(super) group: String,
    /// Empty before the group gave it one.
    pub(super) member_id: String,
    pub(super) topics: BTreeSet<String>,
    /// What it keeps while it joins; nothing when it is not cooperative.
    pub(super) owned: BTreeSet<TopicPartition>,
    /// The generation in which it got what it owns; -1 when it owns nothing.
    pub(super) generation: i32,
}

/// A member of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) coordinator: NodeId,
    pub(super) member_id: String,
    pub(super) generation: i32,
    pub(super) assignment: BTreeSet<TopicPartition>,
    /// For the leader, who watches them: how many partitions each topic had that the assignment was made of.
    pub(super) watched: Option<BTreeMap<String, i32>>,
}

/// What the group said that makes the member begin again.
enum Again {
    /// At once, under the id that the group gave it or with none.
    As(String),
    /// After a pause.
    Pause(ClientError),
}

/// Joins a group and waits for its assignment. Goes on until it succeeds or the group refuses it for good; whoever
/// started it decides how long to wait.
pub(super) async fn join(cluster: Cluster, settings: ConsumerSettings, mut joining: Joining) -> Result<Joined> {
    // There is no end to the patience of a member: a coordinator that is away comes back.
    let mut retry = cluster.retry_for(Duration::from_secs(u64::from(u32::MAX)));
    loop {
        match try_join(&cluster, &settings, &joining, &mut retry).await? {
            Ok(joined) => return Ok(joined),
            Err(Again::As(member_id)) => joining.member_id = member_id,
            Err(Again::Pause(error)) => retry.pause(error).await?,
        }
    }
}

async fn try_join(
    cluster: &Cluster,
    settings: &ConsumerSettings,
    joining: &Joining,
    retry: &mut Retry,
) -> Result<Result<Joined, Again>> {
    let coordinator = cluster.coordinator(CoordinatorKind::Group, &joining.group, retry).await?;
    let request = join_request(settings, joining)?;
    let timeout = (settings.poll_interval_max + JOIN_ALLOWANCE).max(settings.client.request_timeout);
    let response = match cluster.call_within(coordinator, &request, timeout).await {
        Ok(response) => response,
        Err(error) => return passing(error),
    };
    if let Some(error) = ClientError::of_code(response.error_code) {
        return refused(error, response.member_id);
    }
    let is_leader = response.leader == response.member_id;
    let mut watched = None;
    let mut assignments = Vec::new();
    if is_leader {
        let members = members(&response)?;
        let partitions = partitions_of(cluster, settings, &members, retry).await?;
        if !response.skip_assignment {
            let assignor = agreed(settings, &response)?;
            assignments = protocol::assignments(&shared_out(assignor, &members, &partitions))?;
        }
        watched = Some(partitions);
    }
    let request = sync_request(settings, joining, &response, assignments);
    let synced = match cluster.call(coordinator, &request).await {
        Ok(synced) => synced,
        Err(error) => return passing(error),
    };
    if let Some(error) = ClientError::of_code(synced.error_code) {
        return refused(error, response.member_id);
    }
    let assignment = read_assignment(&synced)?;
    let (member_id, generation) = (response.member_id, response.generation_id);
    Ok(Ok(Joined { coordinator, member_id, generation, assignment, watched }))
}

fn passing(error: ClientError) -> Result<Result<Joined, Again>> {
    if error.is_retriable() || is_stale(&error) { Ok(Err(Again::Pause(error))) } else { Err(error) }
}

/// What to do about an answer with an error, to JoinGroup or to SyncGroup.
fn refused(error: ClientError, member_id: String) -> Result<Result<Joined, Again>> {
    Ok(Err(match error.code() {
        // The group wants to know the member before it waits for it (KIP-394).
        Some(ErrorCode::MemberIdRequired) => Again::As(member_id),
        Some(ErrorCode::UnknownMemberId) => Again::As(String::new()),
        Some(ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress) => Again::As(member_id),
        _ if error.is_retriable() || is_stale(&error) => Again::Pause(error),
        _ => return Err(error),
    }))
}

fn join_request(settings: &ConsumerSettings, joining: &Joining) -> Result<JoinGroupRequest> {
    let milliseconds = |duration: Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
    let mut protocols = Vec::with_capacity(settings.assignors.len());
    for assignor in &settings.assignors {
        let (topics, owned) = (&joining.topics, &joining.owned);
        let metadata = protocol::subscription(*assignor, topics, owned, joining.generation, &settings.client.rack)?;
        let name = assignor.name().to_owned();
        protocols.push(JoinGroupRequestProtocol { name, metadata, ..Default::default() });
    }
    Ok(JoinGroupRequest {
        group_id: joining.group.clone(),
        session_timeout_ms: milliseconds(settings.session_timeout),
        rebalance_timeout_ms: milliseconds(settings.poll_interval_max),
        member_id: joining.member_id.clone(),
        group_instance_id: settings.instance_id.clone(),
        protocol_type: PROTOCOL_TYPE.to_owned(),
        protocols,
        ..Default::default()
    })
}

fn sync_request(
    settings: &ConsumerSettings,
    joining: &Joining,
    response: &JoinGroupResponse,
    assignments: Vec<(String, Bytes)>,
) -> SyncGroupRequest {
    let assignment =
        |(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment, ..Default::default() };
    SyncGroupRequest {
        group_id: joining.group.clone(),
        generation_id: response.generation_id,
        member_id: response.member_id.clone(),
        group_instance_id: settings.instance_id.clone(),
        protocol_type: Some(PROTOCOL_TYPE.to_owned()),
        protocol_name: response.protocol_name.clone(),
        assignments: assignments.into_iter().map(assignment).collect(),
        ..Default::default()
    }
}

fn agreed(settings: &ConsumerSettings, response: &JoinGroupResponse) -> Result<Assignor> {
    let name = response.protocol_name.as_deref().unwrap_or_default();
    let agreed = settings.assignors.iter().find(|assignor| assignor.name() == name);
    agreed.copied().ok_or(ClientError::State("the group agreed on an assignor that this member did not offer"))
}

fn members(response: &JoinGroupResponse) -> Result<Vec<Member>> {
    let member = |member: &ottla_protocol::messages::join_group_response::JoinGroupResponseMember| {
        protocol::member(member.member_id.clone(), member.group_instance_id.clone(), &member.metadata)
    };
    response.members.iter().map(member).collect()
}

fn shared_out(assignor: Assignor, members: &[Member], partitions: &BTreeMap<String, i32>) -> Assignment {
    let existing = partitions.iter().filter(|(_, count)| **count > 0).map(|(topic, count)| (topic.clone(), *count));
    assignor.assign(members, &existing.collect())
}

/// How many partitions each topic has that some member subscribed to; 0 for one that does not exist.
async fn partitions_of(
    cluster: &Cluster,
    settings: &ConsumerSettings,
    members: &[Member],
    retry: &mut Retry,
) -> Result<BTreeMap<String, i32>> {
    let topics: BTreeSet<String> = members.iter().flat_map(|member| member.topics.iter().cloned()).collect();
    let create = if settings.may_create_topics { AutoCreate::Allowed } else { AutoCreate::Forbidden };
    loop {
        match cluster.refresh(Some(&topics), create).await {
            Ok(_) => break,
            Err(error) if error.is_retriable() => retry.pause(error).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(counts(cluster, &topics))
}

/// How many partitions each topic has as far as is known.
pub(super) fn counts(cluster: &Cluster, topics: &BTreeSet<String>) -> BTreeMap<String, i32> {
    let metadata = cluster.metadata();
    let count = |topic: &String| metadata.topic(topic).map_or(0, |topic| topic.partitions.len() as i32);
    topics.iter().map(|topic| (topic.clone(), count(topic))).collect()
}

fn read_assignment(response: &SyncGroupResponse) -> Result<BTreeSet<TopicPartition>> {
    decode_assignment(&response.assignment)
}

/// Leaves the group, so that it need not wait for the session's end. A static member does not leave: it is expected back.
pub(super) async fn leave(cluster: &Cluster, group: &str, joined: &Joined, reason: &str) -> Result<()> {
    let connection = cluster.node(joined.coordinator).await?;
    let version = connection.version_of::<LeaveGroupRequest>()?;
    let mut request = LeaveGroupRequest { group_id: group.to_owned(), ..Default::default() };
    if version >= 3 {
        request.members = vec![MemberIdentity {
            member_id: joined.member_id.clone(),
            reason: Some(reason.to_owned()),
            ..Default::default()
        }];
    } else {
        request.member_id = joined.member_id.clone();
    }
    let response = connection.call(&request, cluster.settings().request_timeout).await?;
    check(response.error_code)?;
    response.members.iter().try_for_each(|member| check(member.error_code))
}

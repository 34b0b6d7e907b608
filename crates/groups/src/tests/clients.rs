//! Requests as clients make them, short.

use super::world::World;
use crate::{Request, Response, Token};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::consumer_protocol::ConsumerProtocolSubscription;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, SyncGroupRequest, SyncGroupResponse,
};
use ottla_protocol::messages::{
    describe_groups_response::DescribedGroup, offset_fetch_response::OffsetFetchResponseGroup,
};
use ottla_protocol::{Message, Writer};

pub(super) const GROUP: &str = "group";
pub(super) const SESSION_MS: i64 = 10_000;
pub(super) const REBALANCE_MS: i64 = 60_000;

/// A consumer's subscription, as its protocol metadata.
pub(super) fn subscription(topics: &[&str]) -> Bytes {
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        ..Default::default()
    };
    let mut writer = Writer::with_capacity(64);
    subscription.encode(&mut writer, 1).unwrap();
    let mut bytes = vec![0, 1];
    bytes.extend_from_slice(writer.buffer());
    bytes.into()
}

pub(super) fn protocol(name: &str, metadata: impl Into<Bytes>) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol { name: name.to_owned(), metadata: metadata.into(), ..Default::default() }
}

/// A consumer of topic `t` with the protocol `range`.
pub(super) fn join_request(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.to_owned(),
        session_timeout_ms: SESSION_MS as i32,
        rebalance_timeout_ms: REBALANCE_MS as i32,
        member_id: member_id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range", subscription(&["t"]))],
        ..Default::default()
    }
}

pub(super) fn static_join_request(instance_id: &str, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest { group_instance_id: Some(instance_id.to_owned()), ..join_request(member_id) }
}

pub(super) fn error_of(response: &Response) -> ErrorCode {
    let code = match response {
        Response::JoinGroup(response) => response.error_code,
        Response::SyncGroup(response) => response.error_code,
        Response::Heartbeat(response) => response.error_code,
        Response::ConsumerGroupHeartbeat(response) => response.error_code,
        Response::ConsumerGroupDescribe(response) => response.groups[0].error_code,
        Response::LeaveGroup(response) => match response.members.first() {
            Some(member) if response.error_code == 0 => member.error_code,
            _ => response.error_code,
        },
        Response::OffsetCommit(response) => response.topics[0].partitions[0].error_code,
        Response::TxnOffsetCommit(response) => response.topics[0].partitions[0].error_code,
        Response::OffsetDelete(response) => match response.topics.first() {
            Some(topic) if response.error_code == 0 => topic.partitions[0].error_code,
            _ => response.error_code,
        },
        Response::DeleteGroups(response) => response.results[0].error_code,
        Response::OffsetFetch(response) => response.error_code,
        Response::DescribeGroups(response) => response.groups[0].error_code,
        Response::ListGroups(response) => response.error_code,
        Response::TopicsDeleted => 0,
    };
    ErrorCode::from_code(code).unwrap()
}

impl World {
    pub(super) fn join(&mut self, request: JoinGroupRequest) -> Token {
        self.send(9, Request::JoinGroup(request))
    }

    /// Asks for a member id, and gets it.
    pub(super) fn new_member_id(&mut self) -> String {
        let token = self.join(join_request(""));
        let response = self.joined(token);
        assert_eq!(response.error_code, ErrorCode::MemberIdRequired.code());
        response.member_id
    }

    pub(super) fn joined(&self, token: Token) -> JoinGroupResponse {
        match self.reply(token) {
            Some(Response::JoinGroup(response)) => response.clone(),
            other => panic!("not joined: {other:?}"),
        }
    }

    pub(super) fn synced(&self, token: Token) -> SyncGroupResponse {
        match self.reply(token) {
            Some(Response::SyncGroup(response)) => response.clone(),
            other => panic!("not synced: {other:?}"),
        }
    }

    pub(super) fn error(&self, token: Token) -> Option<ErrorCode> {
        self.reply(token).map(error_of)
    }

    pub(super) fn sync(&mut self, member_id: &str, generation: i32, assignments: &[(&str, &'static str)]) -> Token {
        let request = SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: generation,
            member_id: member_id.to_owned(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: assignments
                .iter()
                .map(|(member_id, assignment)| SyncGroupRequestAssignment {
                    member_id: (*member_id).to_owned(),
                    assignment: Bytes::from_static(assignment.as_bytes()),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        self.send(5, Request::SyncGroup(request))
    }

    pub(super) fn heartbeat(&mut self, member_id: &str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.to_owned(),
            generation_id: generation,
            member_id: member_id.to_owned(),
            ..Default::default()
        };
        error_of(&self.ask(4, Request::Heartbeat(request)))
    }

    pub(super) fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let request = LeaveGroupRequest {
            group_id: GROUP.to_owned(),
            members: members
                .iter()
                .map(|(member_id, instance_id)| MemberIdentity {
                    member_id: (*member_id).to_owned(),
                    group_instance_id: instance_id.map(str::to_owned),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let Response::LeaveGroup(response) = self.ask(5, Request::LeaveGroup(request)) else { panic!() };
        assert_eq!(response.error_code, 0);
        response.members.iter().map(|member| ErrorCode::from_code(member.error_code).unwrap()).collect()
    }

    /// Commits an offset of a partition of topic `t`.
    pub(super) fn commit_offset(&mut self, member_id: &str, generation: i32, partition: i32, offset: i64) -> ErrorCode {
        let request = commit_request(member_id, generation, partition, offset);
        error_of(&self.ask(9, Request::OffsetCommit(request)))
    }

    pub(super) fn fetch_offset(&mut self, partition: i32) -> i64 {
        let committed = self.machine.committed_offset(GROUP, "t", partition);
        committed.map_or(-1, |committed| committed.offset.value())
    }

    pub(super) fn fetch_all(&mut self, require_stable: bool) -> OffsetFetchResponseGroup {
        let group = OffsetFetchRequestGroup { group_id: GROUP.to_owned(), topics: None, ..Default::default() };
        let Response::OffsetFetch(response) = self.ask(9, Request::OffsetFetch { group, require_stable }) else {
            panic!()
        };
        response
    }

    pub(super) fn delete_group(&mut self, group_id: &str) -> ErrorCode {
        let request = DeleteGroupsRequest { groups_names: vec![group_id.to_owned()], ..Default::default() };
        error_of(&self.ask(2, Request::DeleteGroups(request)))
    }

    pub(super) fn describe(&mut self, group_id: &str) -> DescribedGroup {
        let request = DescribeGroupsRequest { groups: vec![group_id.to_owned()], ..Default::default() };
        let Response::DescribeGroups(mut response) = self.ask(6, Request::DescribeGroups(request)) else { panic!() };
        response.groups.remove(0)
    }

    /// Lists the groups as `name type state`.
    pub(super) fn list(&mut self, states: &[&str], types: &[&str]) -> Vec<String> {
        let request = ListGroupsRequest {
            states_filter: states.iter().map(|state| (*state).to_owned()).collect(),
            types_filter: types.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        let Response::ListGroups(response) = self.ask(5, Request::ListGroups(request)) else { panic!() };
        let line = |group: &ottla_protocol::messages::list_groups_response::ListedGroup| {
            format!("{} {} {}", group.group_id, group.group_type, group.group_state)
        };
        response.groups.iter().map(line).collect()
    }

    pub(super) fn state(&self) -> &'static str {
        self.machine.classic_group(GROUP).map_or("-", |group| group.state().name())
    }

    /// Brings members into a new group and lets it become stable. The first one leads; each is assigned its own id.
    pub(super) fn stable_group(&mut self, count: usize) -> Vec<String> {
        let members = self.completing_group(count);
        self.stabilise(&members);
        members
    }

    /// Brings members into a new group and lets them join, not sync.
    pub(super) fn completing_group(&mut self, count: usize) -> Vec<String> {
        let members: Vec<String> = (0..count).map(|_| self.new_member_id()).collect();
        let tokens: Vec<Token> = members.iter().map(|member_id| self.join(join_request(member_id))).collect();
        self.advance(0);
        // With no initial delay the first member's generation is over when the second one joins.
        for (member_id, token) in members.iter().zip(&tokens).take(count.saturating_sub(1)) {
            if self.reply(*token).is_some() && self.state() == "PreparingRebalance" {
                self.join(join_request(member_id));
            }
        }
        assert_eq!(self.state(), "CompletingRebalance");
        members
    }

    /// Every member syncs.
    pub(super) fn stabilise(&mut self, members: &[String]) {
        let group = self.machine.classic_group(GROUP).unwrap();
        let generation = group.generation().value();
        let leader = group.leader().unwrap().to_owned();
        for member_id in members.iter().filter(|member_id| **member_id != leader) {
            self.sync(member_id, generation, &[]);
        }
        let assignments: Vec<(&str, &'static str)> = members.iter().map(|id| (id.as_str(), "assigned")).collect();
        self.sync(&leader, generation, &assignments);
        assert_eq!(self.state(), "Stable");
    }

    pub(super) fn generation(&self) -> i32 {
        self.machine.classic_group(GROUP).unwrap().generation().value()
    }

    pub(super) fn leader(&self) -> String {
        self.machine.classic_group(GROUP).unwrap().leader().unwrap_or_default().to_owned()
    }
}

pub(super) fn commit_request(member_id: &str, generation: i32, partition: i32, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: GROUP.to_owned(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: partition,
                committed_offset: offset,
                committed_metadata: Some("note".to_owned()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

use crate::Comparison;
use ottla_groups::Request;
use ottla_protocol::consumer_protocol::ConsumerProtocolSubscription;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, SyncGroupRequest,
};
use ottla_protocol::{Message, Writer};

/// How a member joins.
#[derive(Clone)]
struct Joining {
    member: &'static str,
    instance: Option<&'static str>,
    protocol_type: &'static str,
    protocols: &'static [(&'static str, &'static str)],
    session_ms: i32,
    rebalance_ms: i32,
}

const MEMBER: Joining = Joining {
    member: "",
    instance: None,
    protocol_type: "consumer",
    protocols: &[("range", "t")],
    session_ms: 60_000,
    rebalance_ms: 60_000,
};

fn subscription(topic: &str) -> bytes::Bytes {
    let subscription = ConsumerProtocolSubscription { topics: vec![topic.to_owned()], ..Default::default() };
    let mut writer = Writer::with_capacity(64);
    subscription.encode(&mut writer, 1).unwrap();
    [&[0, 1], writer.buffer().as_ref()].concat().into()
}

impl Comparison {
    fn join(&mut self, client: &str, version: i16, joining: &Joining) {
        let group_id = self.group();
        self.send(client, version, |id| {
            let protocols = joining.protocols.iter().map(|(name, topic)| JoinGroupRequestProtocol {
                name: (*name).to_owned(),
                metadata: subscription(topic),
                ..Default::default()
            });
            Request::JoinGroup(JoinGroupRequest {
                group_id: group_id.clone(),
                session_timeout_ms: joining.session_ms,
                rebalance_timeout_ms: joining.rebalance_ms,
                member_id: id(joining.member),
                group_instance_id: joining.instance.map(str::to_owned),
                protocol_type: joining.protocol_type.to_owned(),
                protocols: protocols.collect(),
                ..Default::default()
            })
        });
    }

    fn sync(&mut self, client: &str, version: i16, member: &str, generation: i32, assigned: &[&str]) {
        let group_id = self.group();
        self.send(client, version, |id| {
            let assignments = assigned.iter().map(|name| SyncGroupRequestAssignment {
                member_id: id(name),
                assignment: bytes::Bytes::copy_from_slice(format!("for {name}").as_bytes()),
                ..Default::default()
            });
            Request::SyncGroup(SyncGroupRequest {
                group_id: group_id.clone(),
                generation_id: generation,
                member_id: id(member),
                protocol_type: (version >= 5).then(|| "consumer".to_owned()),
                protocol_name: (version >= 5).then(|| "range".to_owned()),
                assignments: assignments.collect(),
                ..Default::default()
            })
        });
    }

    fn heartbeat(&mut self, version: i16, member: &str, generation: i32, instance: Option<&str>) {
        let group_id = self.group();
        self.send("h", version, |id| {
            Request::Heartbeat(HeartbeatRequest {
                group_id: group_id.clone(),
                generation_id: generation,
                member_id: id(member),
                group_instance_id: instance.map(str::to_owned),
                ..Default::default()
            })
        });
    }

    fn leave(&mut self, version: i16, members: &[(&str, Option<&str>)]) {
        let group_id = self.group();
        self.send("l", version, |id| {
            let identities = members.iter().map(|(member, instance)| MemberIdentity {
                member_id: id(member),
                group_instance_id: instance.map(str::to_owned),
                ..Default::default()
            });
            let identities: Vec<MemberIdentity> = identities.collect();
            let one = identities.first().map(|one| one.member_id.clone()).unwrap_or_default();
            Request::LeaveGroup(LeaveGroupRequest {
                group_id: group_id.clone(),
                member_id: if version < 3 { one } else { String::new() },
                members: if version < 3 { Vec::new() } else { identities },
                ..Default::default()
            })
        });
    }

    fn commit(&mut self, version: i16, member: &str, generation: i32, (topic, offset): (&str, i64)) {
        let group_id = self.group();
        self.send("c", version, |id| {
            Request::OffsetCommit(OffsetCommitRequest {
                group_id: group_id.clone(),
                generation_id_or_member_epoch: generation,
                member_id: id(member),
                topics: vec![OffsetCommitRequestTopic {
                    name: topic.to_owned(),
                    partitions: vec![OffsetCommitRequestPartition {
                        committed_offset: offset,
                        committed_leader_epoch: if version >= 6 { 0 } else { -1 },
                        committed_metadata: (offset % 2 == 0).then(|| "note".to_owned()),
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            })
        });
    }

    fn fetch(&mut self, version: i16, topic: Option<&str>, require_stable: bool) {
        let group_id = self.group();
        self.send("f", version, |_| {
            let topics = topic.map(|topic| {
                vec![OffsetFetchRequestTopics {
                    name: topic.to_owned(),
                    partition_indexes: vec![0, 1],
                    ..Default::default()
                }]
            });
            let group = OffsetFetchRequestGroup { group_id: group_id.clone(), topics, ..Default::default() };
            Request::OffsetFetch { group, require_stable }
        });
    }

    fn describe(&mut self, version: i16) {
        let groups = vec![self.group()];
        self.send("d", version, |_| {
            Request::DescribeGroups(DescribeGroupsRequest { groups: groups.clone(), ..Default::default() })
        });
    }

    fn delete(&mut self, version: i16) {
        let groups_names = vec![self.group()];
        self.send("x", version, |_| {
            Request::DeleteGroups(DeleteGroupsRequest { groups_names: groups_names.clone(), ..Default::default() })
        });
    }

    fn delete_offset(&mut self, topic: &str) {
        let group_id = self.group();
        self.send("o", 0, |_| {
            let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
            let topics = vec![OffsetDeleteRequestTopic { name: topic.to_owned(), partitions }];
            Request::OffsetDelete(OffsetDeleteRequest { group_id: group_id.clone(), topics })
        });
    }

    /// Everything about the group that can be looked at.
    fn look(&mut self) {
        // Kafka shows what is committed, and a reader of stable offsets waits for that.
        self.fetch(9, Some("t"), true);
        for version in [0, 4, 5, 6] {
            self.describe(version);
        }
        self.fetch(8, None, false);
    }

    /// A group in the state, with M1 leading and M2 following in generation 2.
    fn reach(&mut self, state: &str) {
        if state == "Missing" {
            return;
        }
        self.join("1", 9, &MEMBER);
        self.join("1", 9, &Joining { member: "M1", ..MEMBER });
        self.join("2", 9, &MEMBER);
        self.join("2", 9, &Joining { member: "M2", ..MEMBER });
        self.join("1", 9, &Joining { member: "M1", ..MEMBER });
        if state == "Completing" {
            return;
        }
        self.sync("2", 5, "M2", 2, &[]);
        self.sync("1", 5, "M1", 2, &["M1", "M2"]);
        match state {
            "Preparing" => self.join("1", 9, &Joining { member: "M1", ..MEMBER }),
            "Empty" => {
                self.join("1", 9, &Joining { member: "M1", ..MEMBER });
                self.join("2", 9, &Joining { member: "M2", ..MEMBER });
                self.leave(5, &[("M1", None)]);
                self.join("2", 9, &Joining { member: "M2", ..MEMBER });
                self.leave(5, &[("M2", None)]);
            }
            _ => {}
        }
    }
}

/// A step that can be taken in any state.
type Event = (&'static str, fn(&mut Comparison));

const EVENTS: [Event; 22] = [
    ("join", |c| c.join("3", 9, &MEMBER)),
    ("join-v3", |c| c.join("3", 3, &MEMBER)),
    ("join-v0", |c| c.join("3", 0, &Joining { rebalance_ms: -1, ..MEMBER })),
    ("join-static", |c| c.join("3", 5, &Joining { instance: Some("i"), ..MEMBER })),
    ("join-stranger", |c| c.join("3", 7, &Joining { member: "stranger", ..MEMBER })),
    ("join-other-type", |c| c.join("3", 6, &Joining { protocol_type: "connect", ..MEMBER })),
    ("join-other-protocol", |c| c.join("3", 9, &Joining { protocols: &[("sticky", "t")], ..MEMBER })),
    ("join-no-protocol", |c| c.join("3", 9, &Joining { protocols: &[], ..MEMBER })),
    ("join-leader", |c| c.join("3", 9, &Joining { member: "M1", ..MEMBER })),
    ("join-follower", |c| c.join("3", 8, &Joining { member: "M2", ..MEMBER })),
    ("join-follower-changed", |c| c.join("3", 9, &Joining { member: "M2", protocols: &[("range", "u")], ..MEMBER })),
    ("join-wrong-instance", |c| c.join("3", 9, &Joining { member: "M2", instance: Some("i"), ..MEMBER })),
    ("sync-follower", |c| c.sync("3", 5, "M2", 2, &[])),
    ("sync-leader", |c| c.sync("3", 5, "M1", 2, &["M1"])),
    ("sync-old", |c| (0..=5).for_each(|version| c.sync("3", version, "M2", 1, &[]))),
    ("sync-stranger", |c| c.sync("3", 3, "stranger", 2, &[])),
    ("heartbeat", |c| (0..=4).for_each(|version| c.heartbeat(version, "M2", 2, None))),
    ("heartbeat-bad", |c| {
        c.heartbeat(4, "M2", 1, None);
        c.heartbeat(4, "stranger", 2, None);
        c.heartbeat(4, "M2", 2, Some("i"));
    }),
    ("leave", |c| c.leave(5, &[("M2", None), ("M2", None), ("stranger", None), ("", Some("i"))])),
    ("leave-v0", |c| [("stranger", None), ("M2", None)].iter().for_each(|member| c.leave(0, &[*member]))),
    ("commit", |c| {
        for version in [2, 5, 6, 8, 9] {
            c.commit(version, "M2", 2, ("t", i64::from(version)));
            c.commit(version, "", -1, ("t", 100));
            c.commit(version, "M2", 1, ("t", 100));
        }
    }),
    ("delete", |c| {
        c.delete_offset("u");
        c.delete_offset("t");
        (0..=3).for_each(|version| c.delete(version));
    }),
];

/// Plays all scripts.
pub(crate) fn run(c: &mut Comparison) {
    for state in ["Missing", "Empty", "Preparing", "Completing", "Stable"] {
        for (name, event) in EVENTS {
            c.begin(format!("{state}-{name}"));
            c.reach(state);
            event(c);
            c.look();
        }
    }
    statics(c);
    sessions(c);
    offsets(c);
    votes(c);
    refusals(c);
    lists(c);
}

fn statics(c: &mut Comparison) {
    for version in [5, 8, 9] {
        c.begin(format!("static-{version}"));
        c.join("1", version, &Joining { instance: Some("i1"), ..MEMBER });
        c.join("2", version, &Joining { instance: Some("i2"), ..MEMBER });
        c.join("1", version, &Joining { instance: Some("i1"), member: "M1", ..MEMBER });
        c.sync("2", 5, "M2", 2, &[]);
        c.sync("1", 5, "M1", 2, &["M1", "M2"]);
        c.look();
        // The follower comes back, then the leader.
        c.join("2", version, &Joining { instance: Some("i2"), ..MEMBER });
        c.sync("2", 5, "M3", 2, &[]);
        c.heartbeat(4, "M2", 2, Some("i2"));
        c.heartbeat(4, "M3", 2, Some("i2"));
        c.join("1", version, &Joining { instance: Some("i1"), ..MEMBER });
        c.sync("1", 5, "M4", 2, &["M4", "M3"]);
        c.look();
        // One that waits is fenced by its successor.
        c.join("1", version, &Joining { instance: Some("i1"), member: "M4", ..MEMBER });
        c.join("3", version, &Joining { instance: Some("i1"), ..MEMBER });
        c.join("2", version, &Joining { instance: Some("i2"), member: "M3", ..MEMBER });
        c.look();
        c.leave(5, &[("", Some("i2")), ("M5", Some("i1"))]);
        c.look();
    }
}

fn sessions(c: &mut Comparison) {
    c.begin("session".to_owned());
    c.join("1", 9, &MEMBER);
    c.join("1", 9, &Joining { member: "M1", session_ms: 600, rebalance_ms: 1_000, ..MEMBER });
    c.sync("1", 5, "M1", 1, &["M1"]);
    c.sleep(400);
    c.heartbeat(4, "M1", 1, None);
    c.sleep(400);
    c.heartbeat(4, "M1", 1, None);
    c.sleep(1_000);
    c.look();
    c.begin("late-sync".to_owned());
    c.join("1", 9, &MEMBER);
    c.join("1", 9, &Joining { member: "M1", rebalance_ms: 700, ..MEMBER });
    c.sleep(1_200);
    c.look();
    c.begin("late-join".to_owned());
    let quick = |member| Joining { member, rebalance_ms: 700, ..MEMBER };
    c.join("1", 9, &MEMBER);
    c.join("1", 9, &quick("M1"));
    c.join("2", 9, &MEMBER);
    c.join("2", 9, &quick("M2"));
    c.sleep(1_200);
    c.look();
    c.begin("pending".to_owned());
    c.join("1", 9, &Joining { session_ms: 600, ..MEMBER });
    c.sleep(1_000);
    c.join("1", 9, &Joining { member: "M1", session_ms: 600, ..MEMBER });
    c.look();
}

fn offsets(c: &mut Comparison) {
    c.begin("offsets".to_owned());
    c.fetch(8, None, false);
    c.fetch(8, Some("t"), false);
    for version in 2..=9 {
        c.commit(version, "", -1, ("t", i64::from(version)));
        c.commit(version, "", -1, ("u", i64::from(version) + 1));
        c.fetch(8, None, false);
        c.fetch(9, Some("u"), true);
    }
    c.commit(9, "M", 5, ("t", 1));
    c.delete_offset("t");
    c.look();
    c.delete(3);
    c.look();
}

fn votes(c: &mut Comparison) {
    const RANGE: &[(&str, &str)] = &[("range", "t"), ("roundrobin", "t")];
    const ROUND: &[(&str, &str)] = &[("roundrobin", "t"), ("range", "t")];
    const MORE: &[(&str, &str)] = &[("sticky", "t"), ("cooperative-sticky", "t"), ("range", "t")];
    const LESS: &[(&str, &str)] = &[("cooperative-sticky", "t"), ("sticky", "t")];
    for (name, first, second) in [("vote-1", RANGE, ROUND), ("vote-2", ROUND, RANGE), ("vote-3", MORE, LESS)] {
        c.begin(name.to_owned());
        c.join("1", 3, &Joining { protocols: first, ..MEMBER });
        c.join("2", 3, &Joining { protocols: second, ..MEMBER });
        c.join("1", 9, &Joining { member: "M1", protocols: first, ..MEMBER });
    }
}

fn refusals(c: &mut Comparison) {
    c.begin("refusals".to_owned());
    for version in 0..=9 {
        c.join("1", version, &Joining { session_ms: 499, rebalance_ms: if version == 0 { -1 } else { 1 }, ..MEMBER });
    }
    c.join("1", 9, &Joining { session_ms: 1_800_001, ..MEMBER });
    c.begin(String::new());
    c.join("1", 9, &MEMBER);
    c.sync("1", 5, "m", 1, &[]);
    c.heartbeat(4, "m", 1, None);
    c.leave(5, &[("m", None)]);
    c.delete(2);
    c.delete_offset("t");
    c.commit(9, "", -1, ("t", 4));
    c.look();
}

fn lists(c: &mut Comparison) {
    c.begin("lists".to_owned());
    let filters: [(&[&str], &[&str]); 5] = [
        (&["Stable"], &[]),
        (&["stable", " EMPTY "], &["Classic"]),
        (&[], &["consumer"]),
        (&["nothing"], &[]),
        (&[], &["?"]),
    ];
    for (states, types) in filters {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
        c.send("1", 5, |_| {
            Request::ListGroups(ListGroupsRequest {
                states_filter: texts(states),
                types_filter: texts(types),
                ..Default::default()
            })
        });
    }
}

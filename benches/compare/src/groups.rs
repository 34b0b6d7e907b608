//! How soon the members of a group have their partitions, under both protocols.
//!
//! Members ask every few milliseconds instead of the seconds that clients leave between heartbeats, so that the broker's part is
//! seen and not the wait of clients.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::Failure;
use crate::broker::Broker;
use crate::report::{Better, Report};
use crate::wire::{Client, check};

const JOIN_GROUP_VERSION: i16 = 9;
const SYNC_GROUP_VERSION: i16 = 5;
const HEARTBEAT_VERSION: i16 = 4;
const LEAVE_GROUP_VERSION: i16 = 5;
const CONSUMER_GROUP_HEARTBEAT_VERSION: i16 = 1;
const PARTITIONS: usize = 100;
const MEMBERS: usize = 100;
const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// What all members of a group know of each other.
struct Group {
    name: String,
    topic: String,
    /// What each member has: of a classic group how many members it knows to be in its generation, of a consumer group
    /// how many partitions it reads.
    has: Vec<AtomicUsize>,
    ends: AtomicBool,
}

type Member = fn(Client, &Group, usize) -> Result<(), Failure>;

/// The rows of one round.
pub fn measure(broker: &Broker, round: usize, report: &mut Report) -> Result<(), Failure> {
    let topic = format!("grouped-{round}");
    broker.connect()?.create_topic(&topic, PARTITIONS as i32)?;
    let protocols: [(&str, Member, fn(usize) -> usize); 2] =
        [("classic", classic_member, |members| members), ("consumer", consumer_member, |members| PARTITIONS / members)];
    for (protocol, member, wanted) in protocols {
        let name = format!("{protocol}-{round}");
        broker.connect()?.find_coordinator(&name, 0)?;
        let few = steps(broker, &topic, &format!("{name}-few"), member, &[(1, wanted(1)), (2, wanted(2))])?;
        let many = steps(broker, &topic, &format!("{name}-many"), member, &[(MEMBERS, wanted(MEMBERS))])?;
        let rows = [
            ("the first member has its partitions", few[0]),
            ("a second member joins, both have theirs", few[1]),
            ("100 members at once, each has its partition", many[0]),
        ];
        for (what, taken) in rows {
            let name = format!("{protocol} group: {what}");
            report.add(broker.kind, &name, "ms", Better::Less, taken.as_secs_f64() * 1e3);
        }
    }
    broker.connect()?.delete_topic(&topic)
}

/// Lets the group grow to each number of members, and says how long it took until each of them has what it shall.
fn steps(
    broker: &Broker,
    topic: &str,
    name: &str,
    member: Member,
    steps: &[(usize, usize)],
) -> Result<Vec<Duration>, Failure> {
    let members = steps.iter().map(|(members, _)| *members).max().unwrap_or(0);
    let group = Group {
        name: name.to_owned(),
        topic: topic.to_owned(),
        has: (0..members).map(|_| AtomicUsize::new(0)).collect(),
        ends: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let mut threads = Vec::new();
        let mut taken = Vec::new();
        for (members, wanted) in steps {
            let new = threads.len()..*members;
            // One after the other: more at once than `socket.listen.backlog.size` would wait for the kernel to try again.
            let clients: Vec<Client> = new.clone().map(|_| broker.connect()).collect::<Result<_, _>>()?;
            let since = Instant::now();
            let group = &group;
            threads.extend(new.zip(clients).map(|(index, client)| scope.spawn(move || member(client, group, index))));
            let settled = || group.has[..*members].iter().all(|has| has.load(Ordering::Relaxed) == *wanted);
            while !settled() && since.elapsed() < PATIENCE && !threads.iter().any(thread::ScopedJoinHandle::is_finished)
            {
                thread::sleep(Duration::from_micros(200));
            }
            taken.push(since.elapsed());
        }
        group.ends.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| Failure::from("a member has panicked"))??;
        }
        match taken.iter().any(|taken| *taken >= PATIENCE) {
            true => Err(Failure::from(format!("the members of {name} do not settle"))),
            false => Ok(taken),
        }
    })
}

/// A member of a classic group. The leader gives each the number of all, so that each knows when all are there.
fn classic_member(mut client: Client, group: &Group, index: usize) -> Result<(), Failure> {
    let mut member_id = String::new();
    while !group.ends.load(Ordering::Relaxed) {
        let joined = join(&mut client, group, &member_id)?;
        member_id.clone_from(&joined.member_id);
        match ErrorCode::from_code(joined.error_code) {
            Some(ErrorCode::None) => {}
            // The first answer gives the member its id; the others are those of a coordinator that is not there yet.
            Some(ErrorCode::MemberIdRequired | ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress) => {
                continue;
            }
            _ => check("JoinGroup", joined.error_code)?,
        }
        let size = (joined.members.len() as u32).to_be_bytes();
        let assignments = joined.members.iter().map(|member| SyncGroupRequestAssignment {
            member_id: member.member_id.clone(),
            assignment: Bytes::copy_from_slice(&size),
            ..Default::default()
        });
        let request = SyncGroupRequest {
            group_id: group.name.clone(),
            generation_id: joined.generation_id,
            member_id: member_id.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: joined.protocol_name.clone(),
            assignments: assignments.collect(),
            ..Default::default()
        };
        let synced = client.exchange(&request, SYNC_GROUP_VERSION)?;
        if let (0, Ok(size)) = (synced.error_code, <[u8; 4]>::try_from(&synced.assignment[..])) {
            group.has[index].store(u32::from_be_bytes(size) as usize, Ordering::Relaxed);
            stay(&mut client, group, &joined)?;
        }
    }
    let member = MemberIdentity { member_id, ..Default::default() };
    let request = LeaveGroupRequest { group_id: group.name.clone(), members: vec![member], ..Default::default() };
    client.exchange(&request, LEAVE_GROUP_VERSION)?;
    Ok(())
}

fn join(client: &mut Client, group: &Group, member_id: &str) -> Result<JoinGroupResponse, Failure> {
    let protocol = JoinGroupRequestProtocol { name: "range".to_owned(), ..Default::default() };
    let request = JoinGroupRequest {
        group_id: group.name.clone(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        member_id: member_id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol],
        ..Default::default()
    };
    client.exchange(&request, JOIN_GROUP_VERSION)
}

/// Until the group rebalances.
fn stay(client: &mut Client, group: &Group, joined: &JoinGroupResponse) -> Result<(), Failure> {
    let request = HeartbeatRequest {
        group_id: group.name.clone(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..Default::default()
    };
    while !group.ends.load(Ordering::Relaxed) {
        if client.exchange(&request, HEARTBEAT_VERSION)?.error_code != 0 {
            break;
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// A member of a consumer group, which gives up at once what it is told to give up.
fn consumer_member(mut client: Client, group: &Group, index: usize) -> Result<(), Failure> {
    let mut request = ConsumerGroupHeartbeatRequest {
        group_id: group.name.clone(),
        member_id: format!("{}-{index}", group.name),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec![group.topic.clone()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    while !group.ends.load(Ordering::Relaxed) {
        let response = client.exchange(&request, CONSUMER_GROUP_HEARTBEAT_VERSION)?;
        match ErrorCode::from_code(response.error_code) {
            Some(ErrorCode::None) => {}
            Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress) => continue,
            _ => check("ConsumerGroupHeartbeat", response.error_code)?,
        }
        request.member_epoch = response.member_epoch;
        request.subscribed_topic_names = None;
        request.topic_partitions = response.assignment.map(|assignment| {
            let owned = assignment.topic_partitions.into_iter().map(|topic| TopicPartitions {
                topic_id: topic.topic_id,
                partitions: topic.partitions,
                ..Default::default()
            });
            owned.collect()
        });
        match &request.topic_partitions {
            // What is owned now is told at once.
            Some(owned) => {
                let partitions = owned.iter().map(|topic| topic.partitions.len()).sum();
                group.has[index].store(partitions, Ordering::Relaxed);
            }
            None => thread::sleep(PAUSE),
        }
    }
    request.member_epoch = -1;
    client.exchange(&request, CONSUMER_GROUP_HEARTBEAT_VERSION)?;
    Ok(())
}

//! Random schedules of members that join, leave, crash, sleep and come back, against what must always hold.

use super::clients::{GROUP, join_request, protocol, subscription};
use super::world::World;
use crate::{GroupSettings, Request, Response, Token};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest};
use std::collections::{BTreeMap, BTreeSet};

const PARTITIONS: u8 = 12;
const STEP_MS: i64 = 100;

/// A small generator of random numbers: the same seed gives the same schedule.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What a client is doing.
#[derive(Clone, Debug, PartialEq)]
enum Doing {
    Nothing,
    Joining(Token),
    Syncing(Token),
    Consuming,
}

/// A client as librdkafka or Java would be: it joins, syncs, beats, commits, and obeys the errors.
struct Client {
    instance_id: Option<String>,
    member_id: String,
    generation: i32,
    doing: Doing,
    partitions: Vec<u8>,
    is_running: bool,
    next_heartbeat_ms: i64,
}

impl Client {
    fn request(&self, dice: &mut Dice) -> JoinGroupRequest {
        let protocols = match dice.roll(4) {
            0 => vec![protocol("range", subscription(&["t"])), protocol("sticky", subscription(&["t"]))],
            _ => vec![protocol("range", subscription(&["t"]))],
        };
        JoinGroupRequest {
            group_instance_id: self.instance_id.clone(),
            rebalance_timeout_ms: 20_000,
            protocols,
            ..join_request(&self.member_id)
        }
    }
}

struct Run {
    world: World,
    dice: Dice,
    clients: Vec<Client>,
    /// What each member was assigned in each generation.
    assigned: BTreeMap<i32, BTreeMap<String, Vec<u8>>>,
    leaders: BTreeMap<i32, String>,
    completed: BTreeSet<i32>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let settings = GroupSettings {
            initial_rebalance_delay_ms: (dice.roll(2) * 3_000) as i32,
            size_max: if dice.roll(3) == 0 { 5 } else { 1_000 },
            ..GroupSettings::default()
        };
        let clients = (0..3 + dice.roll(6)).map(|i| Client {
            instance_id: (dice.roll(3) == 0).then(|| format!("i{i}")),
            member_id: String::new(),
            generation: -1,
            doing: Doing::Nothing,
            partitions: Vec::new(),
            is_running: false,
            next_heartbeat_ms: 0,
        });
        let clients = clients.collect();
        Self {
            world: World::with(settings),
            dice,
            clients,
            assigned: BTreeMap::new(),
            leaders: BTreeMap::new(),
            completed: BTreeSet::new(),
        }
    }

    fn step(&mut self) {
        let index = self.dice.roll(self.clients.len() as u64) as usize;
        match self.dice.roll(100) {
            // It crashes: what it waits for is answered to nobody. A sleeper goes on later as if nothing had happened.
            0..2 => {
                let client = &mut self.clients[index];
                client.is_running = false;
                if self.dice.roll(2) == 0 {
                    client.doing = Doing::Nothing;
                    client.member_id.clear();
                    client.partitions.clear();
                }
            }
            // It stops properly.
            2..4 if self.clients[index].is_running => self.leave(index),
            4..30 => self.clients[index].is_running = true,
            30 => self.world.append_error = Some(ErrorCode::NotEnoughReplicas),
            31 => {
                // A new coordinator: nobody has waited for longer than the old one lived.
                self.world.append_error = None;
                self.world.commit();
                self.world.restart();
                // A generation that had no assignment yet is not in the log; its number is used again.
                self.leaders.clear();
                // Answers of the old coordinator do not reach anybody any more.
                for client in &mut self.clients {
                    if client.doing != Doing::Consuming {
                        client.doing = Doing::Nothing;
                    }
                }
            }
            32..36 => self.world.holds_commits = !self.world.holds_commits,
            _ => self.world.append_error = None,
        }
        if self.dice.roll(3) == 0 {
            self.world.commit();
        }
        for index in 0..self.clients.len() {
            if self.clients[index].is_running {
                self.run_client(index);
            }
        }
        let pause = STEP_MS * (1 + self.dice.roll(20) as i64);
        self.world.advance(pause);
        self.check();
    }

    fn leave(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.is_running = false;
        client.doing = Doing::Nothing;
        client.partitions.clear();
        // Static members just go.
        if client.instance_id.is_none() && !client.member_id.is_empty() {
            let member_id = std::mem::take(&mut client.member_id);
            let _ = self.world.send(
                5,
                Request::LeaveGroup(ottla_protocol::messages::LeaveGroupRequest {
                    group_id: GROUP.to_owned(),
                    members: vec![ottla_protocol::messages::leave_group_request::MemberIdentity {
                        member_id,
                        ..Default::default()
                    }],
                    ..Default::default()
                }),
            );
        }
    }

    fn run_client(&mut self, index: usize) {
        match self.clients[index].doing.clone() {
            Doing::Nothing => {
                let request = self.clients[index].request(&mut self.dice);
                let token = self.world.join(request);
                self.clients[index].doing = Doing::Joining(token);
            }
            Doing::Joining(token) => {
                if let Some(Response::JoinGroup(response)) = self.world.reply(token).cloned() {
                    self.on_joined(index, response);
                }
            }
            Doing::Syncing(token) => {
                if let Some(Response::SyncGroup(response)) = self.world.reply(token).cloned() {
                    self.on_synced(index, response.error_code, &response.assignment);
                }
            }
            Doing::Consuming => self.beat(index),
        }
    }

    fn on_joined(&mut self, index: usize, response: JoinGroupResponse) {
        let client = &mut self.clients[index];
        client.doing = Doing::Nothing;
        match ErrorCode::from_code(response.error_code).unwrap() {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired => {
                client.member_id = response.member_id;
                return;
            }
            ErrorCode::FencedInstanceId | ErrorCode::GroupMaxSizeReached => {
                client.is_running = false;
                client.member_id.clear();
                return;
            }
            _ => {
                client.member_id.clear();
                return;
            }
        }
        client.member_id = response.member_id.clone();
        client.generation = response.generation_id;
        // One leader in each generation.
        let mut assignments = Vec::new();
        if response.leader == response.member_id && !response.members.is_empty() && !response.skip_assignment {
            let members: Vec<&str> = response.members.iter().map(|member| member.member_id.as_str()).collect();
            let known = self.leaders.insert(response.generation_id, response.leader.clone());
            assert!(known.is_none_or(|known| known == response.leader), "two leaders in {}", response.generation_id);
            assignments = assign(&members);
        }
        let request = SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: response.generation_id,
            member_id: response.member_id,
            group_instance_id: self.clients[index].instance_id.clone(),
            protocol_type: response.protocol_type,
            protocol_name: response.protocol_name,
            assignments,
            ..Default::default()
        };
        let token = self.world.send(5, Request::SyncGroup(request));
        self.clients[index].doing = Doing::Syncing(token);
    }

    fn on_synced(&mut self, index: usize, error_code: i16, assignment: &Bytes) {
        let now_ms = self.world.now_ms;
        let client = &mut self.clients[index];
        client.doing = Doing::Nothing;
        client.partitions.clear();
        match ErrorCode::from_code(error_code).unwrap() {
            ErrorCode::None => {
                client.partitions = assignment.to_vec();
                client.doing = Doing::Consuming;
                client.next_heartbeat_ms = now_ms + 3_000;
                let generation = self.assigned.entry(client.generation).or_default();
                // A static member that has been restarted has its predecessor's partitions.
                let owner = client.instance_id.clone().unwrap_or_else(|| client.member_id.clone());
                generation.insert(owner, client.partitions.clone());
                let owned: usize = generation.values().map(Vec::len).sum();
                let distinct: BTreeSet<&u8> = generation.values().flatten().collect();
                assert_eq!(owned, distinct.len(), "a partition is owned twice: {generation:?}");
            }
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => client.member_id.clear(),
            ErrorCode::FencedInstanceId => {
                client.is_running = false;
                client.member_id.clear();
            }
            _ => {}
        }
    }

    fn beat(&mut self, index: usize) {
        let now_ms = self.world.now_ms;
        let client = &mut self.clients[index];
        if now_ms < client.next_heartbeat_ms {
            return;
        }
        client.next_heartbeat_ms = now_ms + 3_000;
        let request = HeartbeatRequest {
            group_id: GROUP.to_owned(),
            generation_id: client.generation,
            member_id: client.member_id.clone(),
            group_instance_id: client.instance_id.clone(),
            ..Default::default()
        };
        let token = self.world.send(4, Request::Heartbeat(request));
        let Some(error) = self.world.error(token) else { return };
        let client = &mut self.clients[index];
        match error {
            ErrorCode::None => return,
            ErrorCode::FencedInstanceId => client.is_running = false,
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => client.member_id.clear(),
            _ => {}
        }
        client.doing = Doing::Nothing;
        client.partitions.clear();
    }

    /// What must hold after every step.
    fn check(&mut self) {
        if let Some(group) = self.world.machine.classic_group(GROUP) {
            let ids: BTreeSet<&str> = group.members().map(|member| &*member.member_id).collect();
            assert_eq!(ids.len(), group.members().len());
            assert_eq!(group.leader().is_some(), !ids.is_empty(), "a leader if and only if there are members");
            assert!(group.leader().is_none_or(|leader| ids.contains(leader)));
            let instances: Vec<_> = group.members().filter_map(|member| member.group_instance_id.clone()).collect();
            assert_eq!(instances.iter().collect::<BTreeSet<_>>().len(), instances.len());
            group.check_invariants();
            if group.state().name() == "Stable" {
                self.completed.insert(group.generation().value());
            }
        }
    }

    /// Everyone wakes up, nothing fails any more: the group must become stable with all running clients, and own all
    /// partitions.
    fn heal(&mut self) {
        self.world.append_error = None;
        self.world.holds_commits = false;
        self.world.commit();
        for _ in 0..1_200 {
            for index in 0..self.clients.len() {
                if self.clients[index].is_running {
                    self.run_client(index);
                }
            }
            self.world.advance(STEP_MS);
            self.check();
        }
        let running: Vec<&Client> = self.clients.iter().filter(|client| client.is_running).collect();
        let Some(first) = running.first() else { return };
        let mut owned: Vec<u8> = running.iter().flat_map(|client| client.partitions.clone()).collect();
        owned.sort_unstable();
        for client in &running {
            assert_eq!((client.generation, &client.doing), (first.generation, &Doing::Consuming));
        }
        assert_eq!(owned, (0..PARTITIONS).collect::<Vec<u8>>(), "generation {}", first.generation);
    }
}

/// Partitions in turn to the members.
fn assign(members: &[&str]) -> Vec<SyncGroupRequestAssignment> {
    let assigned = members.iter().enumerate().map(|(i, member_id)| SyncGroupRequestAssignment {
        member_id: (*member_id).to_owned(),
        assignment: (0..PARTITIONS).filter(|partition| *partition as usize % members.len() == i).collect(),
        ..Default::default()
    });
    assigned.collect()
}

#[test]
fn no_schedule_of_clients_breaks_the_group() {
    let mut generations = 0;
    for seed in 0..100 {
        let mut run = Run::new(seed);
        for _ in 0..300 {
            run.step();
        }
        run.heal();
        generations += run.completed.len();
        // Every request is answered, once (the world checks that), when the coordinator goes.
        run.world.carry_out_unload();
    }
    // The schedules do get somewhere.
    assert!(generations > 700, "{generations}");
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let log = |seed| {
        let mut run = Run::new(seed);
        (0..200).for_each(|_| run.step());
        run.world.log
    };
    assert_eq!(log(7), log(7));
}

//! Random members of a consumer group join, leave, fall silent and come back, on a log that fails and a coordinator that
//! restarts: no partition is ever with two, and when it is calm again each is with one.

use super::clients::GROUP;
use super::consumer::{SESSION_MS, Topics, beat, id_of, join, partitions_of, world};
use super::random::Dice;
use super::world::World;
use crate::consumer::Partitions;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use std::collections::BTreeMap;
use std::sync::Arc;

const MEMBERS: usize = 20;
const STEP_MS: i64 = 500;

/// A client: it gives up at once what it is not to have any more, and says so with the next heartbeat.
struct Client {
    id: String,
    instance_id: Option<String>,
    /// 0 while it is outside.
    epoch: i32,
    is_running: bool,
    owns: Partitions,
    says_what_it_owns: bool,
    /// What it does is not in the world before: it may hear of nothing for a while.
    silent_until: i64,
}

impl Client {
    fn request(&self, dice: &mut Dice) -> ConsumerGroupHeartbeatRequest {
        let topics: &[&str] = if dice.roll(5) == 0 { &["t"] } else { &["t", "u"] };
        let mut request = match self.epoch {
            0 => join(&self.id, topics),
            epoch => beat(&self.id, epoch, self.says_what_it_owns.then_some(&self.owns)),
        };
        if self.epoch == 0 && dice.roll(4) == 0 {
            (request.subscribed_topic_names, request.subscribed_topic_regex) = (None, Some("[tu]".to_owned()));
        }
        request.instance_id.clone_from(&self.instance_id);
        request
    }

    fn hear(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        self.says_what_it_owns = false;
        match ErrorCode::from_code(response.error_code).unwrap() {
            ErrorCode::None => {
                self.epoch = response.member_epoch;
                if let Some(assigned) = partitions_of(response) {
                    self.says_what_it_owns = assigned != self.owns;
                    self.owns = assigned;
                }
            }
            // It has to begin anew, with nothing.
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId | ErrorCode::GroupIdNotFound => {
                self.epoch = 0;
                self.owns.clear();
            }
            ErrorCode::CoordinatorNotAvailable | ErrorCode::UnreleasedInstanceId => self.says_what_it_owns = true,
            other => panic!("{other:?}: {:?}", response.error_message),
        }
    }
}

/// Nobody has what another has. Who is silent for longer than a session may not know yet that it has nothing any more.
fn check(clients: &[Client], now: i64) {
    let mut owners = BTreeMap::new();
    for client in clients.iter().filter(|client| client.is_running && now >= client.silent_until) {
        for (topic, indexes) in &client.owns {
            for index in indexes {
                let other = owners.insert((*topic, *index), &client.id);
                assert_eq!(other, None, "{topic} {index} is with {} too", client.id);
            }
        }
    }
}

fn storm(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut world = world(&[("t", 12), ("u", 5)]);
    let mut clients: Vec<Client> = (0..MEMBERS)
        .map(|number| Client {
            id: format!("m{number}"),
            instance_id: (number % 4 == 0).then(|| format!("i{number}")),
            epoch: 0,
            is_running: false,
            owns: Partitions::new(),
            says_what_it_owns: false,
            silent_until: 0,
        })
        .collect();
    for step in 0..400 {
        world.advance(STEP_MS);
        let calm = step > 200;
        world.append_error = (!calm && dice.roll(12) == 0).then_some(ErrorCode::NotEnoughReplicas);
        if !calm && dice.roll(40) == 0 {
            world.append_error = None;
            world.restart();
        }
        if !calm && dice.roll(30) == 0 {
            let more = 12 + i32::try_from(step / 30).unwrap();
            world.view = Arc::new(Topics(step, vec![("t", more), ("u", 5)]));
        }
        for client in &mut clients {
            one(client, &mut world, &mut dice, calm);
        }
        check(&clients, world.now_ms);
    }
    let group = world.machine.consumer_group(GROUP).unwrap();
    let rest = || group.members().filter(|(_, member)| !member.is_reconciled_to(group.assignment_epoch));
    let rest = rest().map(|(member_id, member)| (member_id, member.epoch, member.state)).collect::<Vec<_>>();
    assert_eq!(group.state().name(), "Stable", "seed {seed}, epoch {}: {rest:?}", group.epoch);
    let owned: usize = clients.iter().flat_map(|client| client.owns.values()).map(|indexes| indexes.len()).sum();
    let wanted = |name: &str| if group.is_subscribed_to(name) { partitions(&world, name) } else { 0 };
    assert_eq!(owned, wanted("t") + wanted("u"), "seed {seed}: each partition is with one");
    assert_eq!(world.machine.consumer, world.replayed().consumer_with_seen(&world.machine));
}

fn partitions(world: &World, name: &str) -> usize {
    world.view.topic_by_id(id_of(name)).map_or(0, |topic| usize::try_from(topic.partitions).unwrap())
}

fn one(client: &mut Client, world: &mut World, dice: &mut Dice, calm: bool) {
    if world.now_ms < client.silent_until {
        return;
    }
    if !client.is_running {
        if dice.roll(if calm { 3 } else { 8 }) == 0 {
            client.is_running = true;
            client.epoch = 0;
            client.owns.clear();
        }
        return;
    }
    match dice.roll(if calm { 1 } else { 60 }) {
        // It goes in an orderly way.
        57 if client.epoch > 0 => {
            let leaving = if client.instance_id.is_some() && dice.roll(2) == 0 { -2 } else { -1 };
            let request = ConsumerGroupHeartbeatRequest {
                instance_id: client.instance_id.clone(),
                ..beat(&client.id, leaving, None)
            };
            world.consumer_heartbeat(request);
            client.is_running = false;
            client.owns.clear();
        }
        // It dies.
        58 => {
            client.is_running = false;
            client.owns.clear();
            if client.instance_id.is_some() {
                // As a static member it is let in again only when its session is over.
                client.silent_until = world.now_ms + SESSION_MS + STEP_MS;
            }
        }
        // It hears and says nothing for a while.
        59 => client.silent_until = world.now_ms + dice.roll(2 * SESSION_MS as u64) as i64,
        _ => {
            let request = client.request(dice);
            let response = world.consumer_heartbeat(request);
            client.hear(&response);
        }
    }
}

#[test]
fn no_partition_is_with_two_members_and_none_is_left_alone() {
    (1..=20).for_each(storm);
}

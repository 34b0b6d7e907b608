//! Schedules of producers, zombies and a failing world: what is decided is carried out once, the same everywhere.

use super::world::{World, set};
use crate::{Initialized, Response, TransactionVersion};
use ottla_protocol::ErrorCode;
use ottla_types::ProducerId;
use std::collections::BTreeMap;

const TOPICS: [(&str, i32); 4] = [("a", 0), ("a", 1), ("b", 0), ("__consumer_offsets", 7)];

/// xorshift64*: enough for schedules.
struct Seed(u64);

impl Seed {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Default)]
struct Client {
    producer: Option<Initialized>,
}

struct Run {
    world: World,
    seed: Seed,
    clients: [Client; 3],
    committed: usize,
    aborted: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            world: World::new(),
            seed: Seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            clients: Default::default(),
            committed: 0,
            aborted: 0,
        }
    }

    fn step(&mut self) {
        let world = &mut self.world;
        match self.seed.below(40) {
            0 => world.append_error = Some(ErrorCode::NotEnoughReplicas),
            1..=3 => world.append_error = None,
            4 => world.holds_commits = true,
            5..=7 => {
                world.holds_commits = false;
                world.commit();
            }
            8 => world.time_out(),
            9 => world.holds_markers = true,
            10..=12 => {
                world.holds_markers = false;
                let failing = if self.seed.chance(30) { set(&TOPICS[..2]) } else { set(&[]) };
                world.write_markers(&failing);
            }
            13 => world.restart(),
            14 => world.advance(self.seed.below(80_000) as i64),
            15..=17 => world.advance(200),
            _ => self.use_client(),
        }
        self.check();
    }

    fn use_client(&mut self) {
        let client = self.seed.below(3) as usize;
        let version = if client == 0 { TransactionVersion::V0 } else { TransactionVersion::V2 };
        let Some(producer) = self.clients[client].producer else {
            let expected = None;
            let request = crate::Request::InitProducerId(super::world::init(expected));
            if let Some(Response::InitProducerId(Ok(initialized))) = self.world.send(request) {
                self.clients[client].producer = Some(initialized);
            }
            return;
        };
        match self.seed.below(8) {
            0 => self.clients[client].producer = None,
            1..=4 => {
                let first = self.seed.below(4) as usize;
                let partitions = &TOPICS[first..=first];
                let (producer_id, producer_epoch) = producer;
                let add = crate::AddPartitions {
                    transactional_id: super::world::ID.into(),
                    producer_id,
                    producer_epoch,
                    partitions: set(partitions),
                    client_version: version,
                };
                if self.world.send(crate::Request::AddPartitions(add))
                    == Some(Response::AddPartitions(ErrorCode::ProducerFenced))
                {
                    self.clients[client].producer = None;
                }
            }
            _ => {
                let commit = self.seed.chance(60);
                match self.world.send(super::world::end(producer, commit, version)) {
                    Some(Response::EndTransaction(Ok(next))) => {
                        self.clients[client].producer = Some(next);
                        if commit { self.committed += 1 } else { self.aborted += 1 }
                    }
                    Some(Response::EndTransaction(Err(ErrorCode::ProducerFenced))) => {
                        self.clients[client].producer = None;
                    }
                    _ => {}
                }
            }
        }
    }

    /// What must hold after every step.
    fn check(&mut self) {
        // The log says all but the last epochs, which a new coordinator can't know.
        let replayed = self.world.replayed();
        for (id, transaction) in &self.world.machine.transactions {
            let mut known = transaction.clone();
            known.last_producer_epoch = ottla_types::ProducerEpoch::NONE;
            assert_eq!(replayed.transaction(id), Some(&known));
            assert_eq!(transaction.partitions.is_empty() && !transaction.state.is_prepared(), {
                transaction.state.is_idle()
            });
        }
        // A marker of a producer and epoch always says the same, whoever writes it, however often.
        let mut outcomes: BTreeMap<(ProducerId, i16), (bool, TransactionVersion)> = BTreeMap::new();
        for markers in &self.world.written {
            if !markers.version.bumps_epoch() {
                continue;
            }
            let key = (markers.producer_id, markers.producer_epoch.value());
            let outcome = (markers.commit, markers.version);
            assert_eq!(*outcomes.entry(key).or_insert(outcome), outcome, "two outcomes of {key:?}");
        }
    }

    /// Nothing fails any more: what is decided is carried out.
    fn heal(&mut self) {
        self.world.append_error = None;
        self.world.holds_commits = false;
        self.world.holds_markers = false;
        self.world.commit();
        self.world.write_markers(&set(&[]));
        self.world.advance(120_000);
        if let Some(transaction) = self.world.machine.transaction(super::world::ID) {
            assert!(transaction.state.is_idle(), "{transaction:?}");
        }
        assert!(self.world.machine.sending.is_empty());
    }
}

#[test]
fn no_schedule_of_clients_and_failures_gives_a_transaction_two_ends_or_none() {
    let (mut committed, mut aborted, mut markers) = (0, 0, 0);
    for seed in 0..60 {
        let mut run = Run::new(seed);
        for _ in 0..300 {
            run.step();
        }
        run.heal();
        run.check();
        committed += run.committed;
        aborted += run.aborted;
        markers += run.world.written.len();
    }
    // The schedules do get somewhere.
    assert!(committed > 40 && aborted > 120 && markers > 400, "{committed} {aborted} {markers}");
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let log = |seed| {
        let mut run = Run::new(seed);
        (0..300).for_each(|_| run.step());
        (run.world.log, run.world.written)
    };
    assert_eq!(log(7), log(7));
}

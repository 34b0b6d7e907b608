use super::log_writer::{Entry, Identity, LogWriter, Written};
use super::wire::{Wire, error, is_passing};
use super::world::World;
use crate::Dice;
use crate::history::{Ended, LogName, Value};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{EndTxnRequest, InitProducerIdRequest};
use std::thread::sleep;
use std::time::Duration;

const INIT_PRODUCER_ID: i16 = 5;
const END_TXN: i16 = 5;

/// How long a transaction may be open.
const TRANSACTION_TIMEOUT_MS: i32 = 3_000;

/// Producers of one transactional id, one after the other: some end their transaction, some are fenced in the middle of
/// it, and then write and commit all the same. Single requests, so that what a client library would not send is sent.
pub(super) fn fence(world: &World, log: LogName) {
    let mut load = Fencing {
        world,
        log,
        wire: Wire::new(&world.address),
        dice: Dice(world.seed ^ 0x6665),
        id: "fenced".to_owned(),
    };
    while world.goes_on() {
        load.step();
    }
}

struct Fencing<'a> {
    world: &'a World,
    log: LogName,
    wire: Wire,
    dice: Dice,
    id: String,
}

impl Fencing<'_> {
    fn step(&mut self) {
        let Some(mut producer) = self.successor() else { return };
        let mut writer = LogWriter::new(self.world, self.log.clone(), 20);
        let mut written = Vec::new();
        let mut is_whole = true;
        for _ in 0..1 + self.dice.roll(3) {
            match writer.write(self.world, &[Entry::PLAIN; 2], -1, Some(&producer)) {
                (values, Written::At(_)) => {
                    producer.sequence += 2;
                    written.extend(values);
                }
                // The producer before this one is still being put aside, or the server comes or goes: nothing was taken.
                (_, Written::Refused(error)) if is_passing(error) => sleep(self.world.rest),
                (_, Written::Refused(other)) => {
                    self.world.fail(format!("a new producer can't write to {}: {other:?}", self.log));
                    is_whole = false;
                }
                (values, Written::Unknown) => {
                    written.extend(values);
                    is_whole = false;
                    break;
                }
            }
        }
        let parts = self.begin(&written);
        if self.dice.roll(3) == 0 {
            self.be_fenced(&mut writer, &producer);
        } else if is_whole {
            self.commit(&parts, &producer);
        }
    }

    /// The transaction of these records, which have a gap where something was refused.
    fn begin(&self, written: &[Value]) -> Vec<usize> {
        let history = &mut *self.world.history();
        let one = |value: &Value| history.transactions.begin(value.writer, value.number..value.number + 1);
        written.iter().map(one).collect()
    }

    fn end(&self, parts: &[usize], ended: Ended) {
        let history = &mut *self.world.history();
        parts.iter().for_each(|part| history.transactions.end(*part, ended));
    }

    /// The next producer of the id; `None` when the run is over before there is one.
    fn successor(&mut self) -> Option<Identity> {
        let request = InitProducerIdRequest {
            transactional_id: Some(self.id.clone()),
            transaction_timeout_ms: TRANSACTION_TIMEOUT_MS,
            ..Default::default()
        };
        while self.world.goes_on() {
            let Ok(answer) = self.wire.ask(INIT_PRODUCER_ID, &request) else { continue };
            match error(answer.error_code) {
                ErrorCode::None => {
                    let (id, epoch) = (answer.producer_id, answer.producer_epoch);
                    return Some(Identity { transactional_id: self.id.clone(), id, epoch, sequence: 0 });
                }
                other if is_passing(other) => {}
                other => self.world.fail(format!("no producer for {}: {other:?}", self.id)),
            }
        }
        None
    }

    /// Another producer takes the id. Nothing that this one does afterwards may have an effect.
    fn be_fenced(&mut self, writer: &mut LogWriter, producer: &Identity) {
        if self.successor().is_none() {
            return;
        }
        self.world.history().records.fence(writer.id());
        writer.write(self.world, &[Entry::PLAIN], -1, Some(producer));
        if self.end_transaction(producer) == Some(ErrorCode::None) {
            let history = &mut *self.world.history();
            let what = format!("{}: a fenced producer's commit was acknowledged", self.log);
            history.violations.add(crate::history::Kind::FencedWrite, what);
        }
    }

    fn commit(&mut self, parts: &[usize], producer: &Identity) {
        if parts.is_empty() {
            return;
        }
        self.end(parts, Ended::Unknown);
        // Asked again as a client would; a retry may find the epoch of the next transaction.
        while self.world.stage() != super::Stage::Over {
            match self.end_transaction(producer) {
                Some(ErrorCode::None) => return self.end(parts, Ended::Committed),
                Some(other) if !is_passing(other) => return,
                _ => sleep(self.world.rest + Duration::from_millis(1)),
            }
        }
    }

    fn end_transaction(&mut self, producer: &Identity) -> Option<ErrorCode> {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            committed: true,
            ..Default::default()
        };
        self.wire.ask(END_TXN, &request).ok().map(|answer| error(answer.error_code))
    }
}

//! A replica that is written and cut while it is copied into another directory.

use crate::dice::Dice;
use crate::model_log::{ModelLog, Record, index};
use ottla_replication::{FutureReplica, MoveEffect, MoveState};

struct Move {
    dice: Dice,
    replica: ModelLog,
    copy: ModelLog,
    moving: FutureReplica,
    epoch: i32,
    values: u64,
}

impl Move {
    fn new(seed: u64) -> Self {
        let (replica, copy) = (ModelLog::default(), ModelLog::default());
        Self { dice: Dice::new(seed), replica, copy, moving: FutureReplica::default(), epoch: 0, values: 0 }
    }

    /// The replica's leader appends, or another one has it cut what is not committed; or the process starts anew.
    fn world(&mut self) {
        match self.dice.below(12) {
            0 => {
                let (low, high) = (self.replica.high_watermark as u64, self.replica.end() as u64);
                let to = usize::try_from(self.dice.between(low, high)).unwrap();
                self.replica.truncate(to, false);
                self.moving.replica_truncated(ottla_types::Offset(i64::try_from(to).unwrap()));
                self.epoch += 1;
            }
            1 => self.epoch += 1,
            2 => self.moving = FutureReplica::default(),
            3 => self.replica.start = self.replica.high_watermark,
            4 | 5 => self.replica.high_watermark = self.replica.end(),
            _ => {
                self.values += 1;
                self.replica.append(Record::after(self.replica.last(), self.epoch, self.values));
            }
        }
    }

    fn go_on(&mut self) {
        match self.moving.next(&self.replica, &self.copy) {
            None => self.moving.assigned(),
            Some(MoveEffect::Truncate { to }) => self.copy.truncate(index(to), false),
            Some(MoveEffect::TruncateFully { start_at }) => {
                self.copy.restart_at(&self.replica.records[..index(start_at)]);
            }
            Some(MoveEffect::Copy { from }) => {
                assert_eq!(index(from), self.copy.end());
                let count = 1 + usize::try_from(self.dice.below(3)).unwrap();
                for record in self.replica.records.iter().skip(index(from)).take(count) {
                    self.copy.append(*record);
                }
                let (high_watermark, start) = self.moving.bounds_after_copy(&self.replica, &self.copy);
                (self.copy.high_watermark, self.copy.start) = (index(high_watermark), index(start));
            }
            Some(MoveEffect::Swap) => {
                assert_eq!(self.copy.records, self.replica.records, "the copy is the replica");
                self.moving.swapped();
            }
            Some(MoveEffect::AssignDirectory | MoveEffect::RevertAssignment) => {}
        }
    }
}

#[test]
fn a_copy_that_takes_the_replicas_place_is_equal_to_it_whatever_happened_meanwhile() {
    for seed in 0..500 {
        let mut run = Move::new(seed);
        for _ in 0..400 {
            if run.moving.state() == MoveState::Swapped {
                break;
            }
            for _ in 0..run.dice.below(6) {
                run.world();
            }
            run.go_on();
        }
        for _ in 0..400 {
            run.go_on();
        }
        assert_eq!(run.moving.state(), MoveState::Swapped, "seed {seed}");
    }
}

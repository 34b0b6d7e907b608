//! Two real logs that lead and follow in turn, by the rules of `ottla-replication`: whatever tails they are left with, they end
//! equal.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use core::time::Duration;
use fixture::{CLIENT, World, batch, create, stop};
use ottla_log::{Log, LogConfig, ReadBound, ReadRequest};
use ottla_replication::{
    EpochEnd, FetchFault, FetchRead, FetchRefusal, FetchedData, FollowerEffect, FollowerPartition, ListedOffset,
    LogView, PartitionAnswer, read_position,
};
use ottla_types::{LeaderEpoch, Offset};

const BACKOFF: Duration = Duration::from_millis(1);

struct View<'a>(&'a Log);

impl LogView for View<'_> {
    fn log_start(&self) -> Offset {
        self.0.log_start_offset()
    }

    fn log_end(&self) -> Offset {
        self.0.log_end_offset()
    }

    fn high_watermark(&self) -> Offset {
        self.0.high_watermark()
    }

    fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.0.latest_epoch()
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        self.0.end_offset_for_epoch(epoch).map(|(epoch, end_offset)| EpochEnd { epoch, end_offset })
    }
}

fn bytes(log: &Log, offset: Offset) -> Vec<u8> {
    let request = ReadRequest { offset, max_bytes: 1 << 20, min_one_batch: true, bound: ReadBound::LogEnd };
    let slice = log.read(request).unwrap();
    slice.ranges.iter().flat_map(|range| range.read().unwrap()).collect()
}

/// One fetch, its answer, and all that follows from it.
fn fetch(partition: &mut FollowerPartition, leader: &Log, follower: &Log, now: Duration) {
    let position = partition.position();
    let (answer, records) = match read_position(&View(leader), position) {
        Err(FetchRefusal::OutOfRange { .. }) => (PartitionAnswer::Fault(FetchFault::OffsetOutOfRange), Vec::new()),
        Err(refusal) => panic!("{refusal}"),
        Ok(FetchRead::Diverging(end)) => (PartitionAnswer::Diverging(end), Vec::new()),
        Ok(FetchRead::From(offset)) => {
            let records = bytes(leader, offset);
            let (high_watermark, log_start) = (leader.high_watermark(), leader.log_start_offset());
            (PartitionAnswer::Data(FetchedData { bytes: records.len(), high_watermark, log_start }), records)
        }
    };
    let mut effect = partition.answered(position, answer, &View(follower), now, BACKOFF);
    while let Some(next) = effect {
        effect = match next {
            FollowerEffect::Append { .. } => {
                follower.append_as_follower(&records).unwrap();
                partition.appended(&View(follower), now, BACKOFF)
            }
            FollowerEffect::Advance { high_watermark, .. } => {
                follower.set_high_watermark(high_watermark);
                None
            }
            FollowerEffect::Truncate { to, .. } => {
                follower.truncate_to(to).unwrap();
                partition.truncated(&View(follower))
            }
            FollowerEffect::TruncateFully { start_at } => {
                follower.truncate_fully_and_start_at(start_at).unwrap();
                partition.truncated(&View(follower))
            }
            FollowerEffect::ListOffset(which) => {
                let listed = match which {
                    ListedOffset::Earliest => leader.log_start_offset(),
                    ListedOffset::Latest => leader.log_end_offset(),
                };
                partition.listed(which, Ok(listed), &View(follower), now, BACKOFF)
            }
            FollowerEffect::Fail(reason) => panic!("{reason:?}"),
        };
    }
}

fn run(seed: u64) {
    let mut state = seed.wrapping_mul(6_364_136_223_846_793_005) + 1;
    let mut dice = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let config = LogConfig { segment_bytes: 400, ..LogConfig::default() };
    let worlds = [World::simulated(), World::simulated()];
    let directories = worlds.each_ref().map(|world| world.load(&config));
    let logs = directories.each_ref().map(|directories| create(directories, &config));
    let (mut epoch, mut now) = (0, Duration::ZERO);
    let rounds = 12;
    for round in 0..=rounds {
        epoch += 1 + i32::try_from(dice(2)).unwrap();
        let leads = usize::try_from(dice(2)).unwrap();
        let (leader, follower) = (&logs[leads], &logs[1 - leads]);
        leader.begin_leader_epoch(LeaderEpoch(epoch));
        let (mut partition, _) = FollowerPartition::begin(LeaderEpoch(epoch), &View(follower));
        // In the last round there is time for all of it.
        for _ in 0..if round == rounds { 40 } else { dice(4) } {
            now += Duration::from_millis(10);
            if round < rounds {
                let records = i32::try_from(1 + dice(3)).unwrap();
                leader.append_as_leader(&mut batch(records), LeaderEpoch(epoch), CLIENT).unwrap();
            }
            if round == rounds || dice(2) == 0 {
                fetch(&mut partition, leader, follower, now);
            }
        }
        if round == rounds {
            assert_eq!(bytes(leader, Offset(0)), bytes(follower, Offset(0)), "seed {seed}");
            let epochs = |log: &Log| log.leader_epochs().entries().to_vec();
            let written = epochs(leader).into_iter().filter(|entry| entry.start_offset < leader.log_end_offset());
            assert_eq!(written.collect::<Vec<_>>(), epochs(follower), "seed {seed}");
        }
    }
    directories.into_iter().for_each(stop);
}

#[test]
fn logs_that_lead_and_follow_in_turn_end_equal() {
    (0..60).for_each(run);
}

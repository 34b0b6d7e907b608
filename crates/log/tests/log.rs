//! The log of one partition, on a simulated and on a real disk.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{World, append, batch, create, offsets, partition, stop};
use ottla_log::LogConfig;
use ottla_types::Offset;

#[test]
fn records_are_read_back_at_the_offsets_they_were_given() {
    for world in World::both() {
        let directories = world.load(&LogConfig::default());
        let log = create(&directories, &LogConfig::default());
        let first = append(&log, batch(3)).unwrap();
        let second = append(&log, batch(2)).unwrap();
        assert_eq!((first.first_offset, first.last_offset), (Offset(0), Offset(2)));
        assert_eq!((second.first_offset, second.last_offset), (Offset(3), Offset(4)));
        assert_eq!(log.log_end_offset(), Offset(5));
        assert_eq!(offsets(&log, 0), [0, 1, 2, 3, 4]);
        assert_eq!(offsets(&log, 4), [4]);
    }
}

#[test]
fn a_log_of_many_segments_survives_a_clean_stop() {
    let config = LogConfig { segment_bytes: 500, index_interval_bytes: 100, ..LogConfig::default() };
    for world in World::both() {
        let directories = world.load(&config);
        let log = create(&directories, &config);
        for _ in 0..50 {
            append(&log, batch(2)).unwrap();
        }
        assert!(log.segment_base_offsets().len() >= 10);
        let segments = log.segment_base_offsets();
        stop(directories);
        let directories = world.load(&config);
        let log = directories.get(&partition()).unwrap();
        assert_eq!(log.segment_base_offsets(), segments);
        assert_eq!(log.log_end_offset(), Offset(100));
        assert_eq!(log.recovery_point(), Offset(100));
        assert_eq!(log.topic_id(), Some(fixture::topic_id()));
        for from in 0..100 {
            assert_eq!(offsets(&log, from), (from..100).collect::<Vec<_>>());
        }
        append(&log, batch(1)).unwrap();
        assert_eq!(log.log_end_offset(), Offset(101));
    }
}

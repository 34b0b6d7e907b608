use super::{new_topic, numbered};
use crate::foreign::calls::{Isolation, Offsets, PLAIN};
use crate::foreign::crew::Crew;
use crate::foreign::failure::{Done, check_same};
use std::thread::sleep;
use std::time::Duration;

/// Long enough for two records to have different timestamps.
const TICK: Duration = Duration::from_millis(20);

/// In this many milliseconds no record is made.
const FAR_MS: i64 = 3_600_000;

/// Where a partition begins, where it ends, and which record is the first of a time.
pub(in crate::foreign) fn by_time(crew: &mut Crew) -> Done {
    let [client] = crew.hire()?;
    let topic = new_topic(client, "offsets", 1)?;
    check_same("an empty partition", &client.offsets(&topic, None)?, &Offsets { earliest: 0, latest: 0, at: None })?;
    client.produce(&topic, PLAIN, &numbered("early", 10))?;
    sleep(TICK);
    client.produce(&topic, PLAIN, &numbered("late", 10))?;
    let records = client.fetch(&topic, 0, 20, Isolation::Uncommitted)?;
    let (first, eleventh, last) = (records[0].timestamp, records[10].timestamp, records[19].timestamp);
    for (timestamp, at) in [
        (None, None),
        (Some(first), Some(0)),
        (Some(first - FAR_MS), Some(0)),
        (Some(eleventh), Some(10)),
        (Some(last + FAR_MS), None),
    ] {
        let wanted = Offsets { earliest: 0, latest: 20, at };
        check_same(&format!("offsets at {timestamp:?}"), &client.offsets(&topic, timestamp)?, &wanted)?;
    }
    client.delete_topic(&topic)
}

/// Records are deleted from the front of a partition; the others stay where they are.
pub(in crate::foreign) fn delete_records(crew: &mut Crew) -> Done {
    let [client] = crew.hire()?;
    let topic = new_topic(client, "deleted-records", 1)?;
    client.produce(&topic, PLAIN, &numbered("r", 20))?;
    client.delete_records(&topic, 5)?;
    check_same("what is left", &client.offsets(&topic, None)?, &Offsets { earliest: 5, latest: 20, at: None })?;
    let left = client.fetch(&topic, 5, 15, Isolation::Uncommitted)?;
    let offsets: Vec<i64> = left.iter().map(|record| record.offset).collect();
    check_same("the offsets of what is left", &offsets, &(5..20).collect())?;
    client.delete_topic(&topic)
}

use super::{new_topic, numbered};
use crate::foreign::batches::protocol_of_group;
use crate::foreign::calls::{PLAIN, Sending};
use crate::foreign::crew::Crew;
use crate::foreign::failure::{Done, check, check_same};
use crate::foreign::members::Members;
use crate::foreign::record::{Blob, Record};
use crate::unique;

/// How often a member is polled to see that nothing more comes.
const IDLE_POLLS: usize = 3;

/// Three members share six partitions, one leaves, the others take over; a new member goes on where they committed.
pub(in crate::foreign) fn share(crew: &mut Crew, strategy: &str) -> Done {
    let bootstrap = crew.bootstrap().to_owned();
    let [client, first, second, third] = crew.hire()?;
    let (topic, group) = (new_topic(client, "shared", 6)?, unique(&format!("group-{strategy}")));
    let mut members = Members::new();
    for member in [&mut *first, second, third] {
        member.subscribe(&group, &topic, strategy, None)?;
        members.join(member);
    }
    members.poll_until_they_own(6)?;
    check_protocol(&bootstrap, &group, strategy)?;
    let early = numbered("first", 300);
    client.produce(&topic, Sending { partition: None, ..PLAIN }, &early)?;
    members.poll_until_read(early.len())?;
    // A partition that changes hands is read from its committed offset on.
    members.commit()?;
    members.last_leaves()?;
    members.poll_until_they_own(6)?;
    if strategy == "cooperative" {
        members.check_none_lost_all()?;
    }
    let more = numbered("second", 100);
    client.produce(&topic, Sending { partition: None, ..PLAIN }, &more)?;
    let all = [early, more].concat();
    members.poll_until_read(all.len())?;
    check_same("the records that were read", &values(&members), &sorted(&all))?;
    // A commit on leaving may meet the rebalance of a member that left just before: commit while the group is stable.
    members.commit()?;
    members.all_leave()?;

    let late = numbered("third", 50);
    client.produce(&topic, Sending { partition: None, ..PLAIN }, &late)?;
    first.subscribe(&group, &topic, strategy, None)?;
    let mut newcomer = Members::new();
    newcomer.join(first);
    newcomer.poll_until_read(late.len())?;
    for _ in 0..IDLE_POLLS {
        newcomer.poll()?;
    }
    check_same("what is read from the commit on", &values(&newcomer), &sorted(&late))?;
    check_same("how often", &newcomer.reads(), &late.len())?;
    newcomer.all_leave()?;
    client.delete_topic(&topic)
}

/// Checks that the members share in the way that was asked for.
fn check_protocol(bootstrap: &str, group: &str, strategy: &str) -> Done {
    let (protocol, assignor) = protocol_of_group(bootstrap, group)?;
    let is_right = match strategy {
        "eager" => protocol == "classic" && !assignor.contains("cooperative"),
        "cooperative" => protocol == "classic" && assignor.contains("cooperative"),
        _ => protocol == "consumer" && assignor == strategy,
    };
    check(is_right, || format!("{strategy} was asked for, and the group has {assignor} of the {protocol} protocol"))
}

fn values(members: &Members<'_>) -> Vec<Blob> {
    let mut values: Vec<Blob> = members.read().iter().map(|record| record.value.clone()).collect();
    values.sort();
    values
}

fn sorted(records: &[Record]) -> Vec<Blob> {
    let mut values: Vec<Blob> = records.iter().map(|record| record.value.clone()).collect();
    values.sort();
    values
}

use super::new_topic;
use crate::foreign::crew::Crew;
use crate::foreign::failure::{Done, check_same};
use crate::foreign::members::Members;
use crate::unique;

/// How often the member that stays is polled while the other one is away.
const POLLS_WITHOUT_THE_OTHER: usize = 5;

/// The place of the member that dies among the crew.
const DOOMED: usize = 2;

/// A member with an instance id dies; one that comes with the same id within the session gets its partitions, and the other
/// member sees nothing of it.
pub(in crate::foreign) fn comes_back(crew: &mut Crew) -> Done {
    let group = unique("group-static");
    // The successor is there before, so that its start is not counted against the session.
    let [client, stays, dies, _] = crew.hire()?;
    let topic = new_topic(client, "static", 4)?;
    stays.subscribe(&group, &topic, "eager", Some("one"))?;
    dies.subscribe(&group, &topic, "eager", Some("two"))?;
    let mut members = Members::new();
    members.join(stays);
    members.join(dies);
    members.poll_until_they_own(4)?;
    let (kept, left) = (members.owned(0), members.owned(1));
    members.forget_last();

    crew.kill(DOOMED);
    let [client, stays, successor] = crew.hire()?;
    let mut members = Members::new();
    members.join(stays);
    for _ in 0..POLLS_WITHOUT_THE_OTHER {
        members.poll()?;
        check_same("what the member that stays owns", &members.owned(0), &kept)?;
    }
    successor.subscribe(&group, &topic, "eager", Some("two"))?;
    members.join(successor);
    members.poll_until("the successor has partitions", |members| !members.owned(1).is_empty())?;
    check_same("what the successor owns", &members.owned(1), &left)?;
    check_same("what the member that stayed owns", &members.owned(0), &kept)?;
    members.all_leave()?;
    client.delete_topic(&topic)
}

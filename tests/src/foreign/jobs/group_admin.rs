use super::{check_refused, new_topic, numbered};
use crate::foreign::calls::{GroupState, PLAIN};
use crate::foreign::crew::Crew;
use crate::foreign::failure::{Done, check, check_same};
use crate::foreign::members::Members;
use crate::foreign::waiting::wait_until;
use crate::unique;

/// A group is listed and described, with and without a member, and so is what it has committed.
pub(in crate::foreign) fn look(crew: &mut Crew) -> Done {
    let [client, member] = crew.hire()?;
    let (topic, group) = (new_topic(client, "group-admin", 1)?, unique("group-admin"));
    check_same("the offset of no group", &client.committed(&group, &topic)?, &None)?;
    member.subscribe(&group, &topic, "eager", None)?;
    let mut members = Members::new();
    members.join(member);
    members.poll_until_they_own(1)?;
    client.produce(&topic, PLAIN, &numbered("r", 10))?;
    members.poll_until_read(10)?;
    members.commit()?;
    check(client.list_groups()?.contains(&group), || "the group is not listed".to_owned())?;
    let stable = GroupState { state: "Stable".to_owned(), members: 1 };
    check_same("the group", &client.describe_group(&group)?, &stable)?;
    check_same("its offset", &client.committed(&group, &topic)?, &Some(10))?;
    members.all_leave()?;

    let empty = GroupState { state: "Empty".to_owned(), members: 0 };
    wait_until("the group is empty", || {
        let seen = client.describe_group(&group)?;
        Ok(if seen == empty { Ok(()) } else { Err(format!("{seen:?}")) })
    })?;
    check_same("the offset of the empty group", &client.committed(&group, &topic)?, &Some(10))?;
    client.delete_topic(&topic)
}

/// A group can't be deleted while it has a member, and then can; its offsets go with it.
pub(in crate::foreign) fn delete(crew: &mut Crew) -> Done {
    let [client, member] = crew.hire()?;
    let (topic, group) = (new_topic(client, "group-delete", 1)?, unique("group-delete"));
    member.subscribe(&group, &topic, "eager", None)?;
    let mut members = Members::new();
    members.join(member);
    members.poll_until_they_own(1)?;
    client.produce(&topic, PLAIN, &numbered("r", 10))?;
    members.poll_until_read(10)?;
    check_refused("to delete a group with a member", client.delete_group(&group)?, "not_empty")?;
    members.all_leave()?;

    check_same("its offset", &client.committed(&group, &topic)?, &Some(10))?;
    wait_until("the group without members is deleted", || {
        Ok(client.delete_group(&group)?.map_err(|refusal| refusal.words))
    })?;
    check(!client.list_groups()?.contains(&group), || "the deleted group is listed".to_owned())?;
    check_same("the offset of the deleted group", &client.committed(&group, &topic)?, &None)?;
    client.delete_topic(&topic)
}

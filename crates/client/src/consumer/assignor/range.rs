use super::{Assignment, Member, nothing, sorted};
use ottla_types::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of each topic each member gets neighbouring partitions; the first members get one more where it does not come out
/// even.
pub(super) fn assign(members: &[Member], partitions: &BTreeMap<String, i32>) -> Assignment {
    let mut assignment = nothing(members);
    let members = sorted(members);
    for (topic, count) in partitions {
        let takers: Vec<_> = members.iter().filter(|member| member.topics.contains(topic)).collect();
        let Some(takers_count) = i32::try_from(takers.len()).ok().filter(|count| *count > 0) else { continue };
        let name: Arc<str> = topic.as_str().into();
        let mut next = 0;
        for (index, taker) in (0..).zip(takers) {
            let share = count / takers_count + i32::from(index < count % takers_count);
            let range = (next..next + share).map(|partition| TopicPartition::new(name.clone(), partition));
            next += share;
            assignment.entry(taker.member_id.clone()).or_default().extend(range);
        }
    }
    assignment
}

#[cfg(test)]
mod tests {
    use super::super::testing::{member, partitions, shown};
    use super::*;

    #[test]
    fn the_first_members_get_one_more() {
        let members = [member("b", &["t"]), member("a", &["t"]), member("c", &["u"])];
        let assignment = assign(&members, &partitions(&[("t", 3), ("u", 2), ("nobody", 1)]));
        assert_eq!(shown(&assignment), "a: t-0 t-1, b: t-2, c: u-0 u-1");
    }

    #[test]
    fn static_members_come_first_in_the_order_of_their_static_ids() {
        let static_member =
            |id: &str, instance: &str| Member { instance_id: Some(instance.to_owned()), ..member(id, &["t"]) };
        let members = [member("a", &["t"]), static_member("z", "1"), static_member("b", "2")];
        assert_eq!(shown(&assign(&members, &partitions(&[("t", 2)]))), "a: , b: t-1, z: t-0");
    }

    #[test]
    fn members_beyond_the_partitions_get_nothing() {
        let members = [member("a", &["t"]), member("b", &["t"])];
        assert_eq!(shown(&assign(&members, &partitions(&[("t", 1)]))), "a: t-0, b: ");
    }
}

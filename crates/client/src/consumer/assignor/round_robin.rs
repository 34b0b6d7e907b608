use super::{Assignment, Member, nothing, sorted};
use ottla_types::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All partitions of all topics in order, dealt out to the members in turn; a member that did not subscribe to a topic
/// is passed over.
pub(super) fn assign(members: &[Member], partitions: &BTreeMap<String, i32>) -> Assignment {
    let mut assignment = nothing(members);
    let members = sorted(members);
    let mut turn = 0;
    for (topic, count) in partitions {
        if !members.iter().any(|member| member.topics.contains(topic)) {
            continue;
        }
        let name: Arc<str> = topic.as_str().into();
        for partition in 0..*count {
            while members.get(turn).is_some_and(|member| !member.topics.contains(topic)) {
                turn = (turn + 1) % members.len();
            }
            let Some(taker) = members.get(turn) else { continue };
            turn = (turn + 1) % members.len();
            let dealt = TopicPartition::new(name.clone(), partition);
            assignment.entry(taker.member_id.clone()).or_default().insert(dealt);
        }
    }
    assignment
}

#[cfg(test)]
mod tests {
    use super::super::testing::{member, partitions, shown};
    use super::*;

    #[test]
    fn partitions_are_dealt_in_turn_over_all_topics() {
        let members = [member("a", &["t", "u"]), member("b", &["t", "u"])];
        let assignment = assign(&members, &partitions(&[("t", 3), ("u", 3)]));
        assert_eq!(shown(&assignment), "a: t-0 t-2 u-1, b: t-1 u-0 u-2");
    }

    #[test]
    fn a_member_that_did_not_subscribe_is_passed_over() {
        let members = [member("a", &["t"]), member("b", &["t", "u"]), member("c", &["t", "u", "v"])];
        let assignment = assign(&members, &partitions(&[("t", 1), ("u", 2), ("v", 3)]));
        assert_eq!(shown(&assignment), "a: t-0, b: u-0, c: u-1 v-0 v-1 v-2");
    }
}

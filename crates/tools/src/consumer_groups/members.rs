use super::describe::{NOTHING, WIDTH, has_table, length};
use crate::console::Console;
use ottla_client::{GroupDescription, MemberDescription};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

const INSTANCE_WIDTH: usize = 17;
const ASSIGNMENT_WIDTH: usize = 20;

/// `--describe --members` of one group. The heads stand there even when nobody does.
pub(super) fn show(group: &GroupDescription, verbose: bool, console: &mut Console) {
    has_table(group, group.members.len(), console);
    let members: Vec<_> = group.members.iter().map(|member| Shown::new(&group.group_id, member)).collect();
    let head = Shown::head(members.iter().any(|member| member.upgraded.is_some()));
    let widths = Widths::of(&head, &members);
    console.print("\n");
    for member in std::iter::once(&head).chain(&members) {
        let mut line = widths.line(member);
        if verbose {
            line.push_str(&widths.details(member));
        }
        console.line(&line);
    }
}

/// The cells of one line.
#[derive(Debug)]
struct Shown {
    group: String,
    member: String,
    instance: String,
    host: String,
    client: String,
    partitions: String,
    epoch: String,
    assignment: String,
    target_epoch: String,
    target: String,
    upgraded: Option<String>,
}

impl Shown {
    fn head(with_upgraded: bool) -> Self {
        Self {
            group: "GROUP".to_owned(),
            member: "CONSUMER-ID".to_owned(),
            instance: "GROUP-INSTANCE-ID".to_owned(),
            host: "HOST".to_owned(),
            client: "CLIENT-ID".to_owned(),
            partitions: "#PARTITIONS".to_owned(),
            epoch: "CURRENT-EPOCH".to_owned(),
            assignment: "CURRENT-ASSIGNMENT".to_owned(),
            target_epoch: "TARGET-EPOCH".to_owned(),
            target: "TARGET-ASSIGNMENT".to_owned(),
            upgraded: with_upgraded.then(|| "UPGRADED".to_owned()),
        }
    }

    fn new(group: &str, member: &MemberDescription) -> Self {
        let epoch = member.member_epoch.map_or_else(|| NOTHING.to_owned(), |epoch| epoch.to_string());
        Self {
            group: group.to_owned(),
            member: member.member_id.clone(),
            instance: member.instance_id.clone().unwrap_or_default(),
            host: member.host.clone(),
            client: member.client_id.clone(),
            partitions: member.assignment.len().to_string(),
            assignment: assignment(&member.assignment),
            target_epoch: if member.target_assignment.is_some() { epoch.clone() } else { NOTHING.to_owned() },
            target: member.target_assignment.as_ref().map_or_else(|| NOTHING.to_owned(), assignment),
            upgraded: member.is_upgraded.map(|upgraded| upgraded.to_string()),
            epoch,
        }
    }
}

/// `topic:0,1;other:2`.
fn assignment(partitions: &BTreeSet<TopicPartition>) -> String {
    if partitions.is_empty() {
        return NOTHING.to_owned();
    }
    let mut topics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition.value().to_string());
    }
    let topics: Vec<_> = topics.iter().map(|(topic, partitions)| format!("{topic}:{}", partitions.join(","))).collect();
    topics.join(";")
}

struct Widths {
    group: usize,
    member: usize,
    /// `None` when no member has a static id: the column is left out.
    instance: Option<usize>,
    host: usize,
    client: usize,
    assignment: usize,
    target: usize,
}

impl Widths {
    fn of(head: &Shown, members: &[Shown]) -> Self {
        let widest = |cell: fn(&Shown) -> &str, least: usize| {
            members.iter().map(|member| length(cell(member))).max().unwrap_or_default().max(least)
        };
        let has_instances = members.iter().any(|member| !member.instance.is_empty());
        let instance = widest(|member| &member.instance, INSTANCE_WIDTH.max(length(&head.instance)));
        Self {
            group: widest(|member| &member.group, WIDTH),
            member: widest(|member| &member.member, WIDTH),
            instance: has_instances.then_some(instance),
            host: widest(|member| &member.host, WIDTH),
            client: widest(|member| &member.client, WIDTH),
            assignment: widest(|member| &member.assignment, ASSIGNMENT_WIDTH),
            target: widest(|member| &member.target, ASSIGNMENT_WIDTH),
        }
    }

    fn line(&self, shown: &Shown) -> String {
        let Self { group: a, member: b, host: c, client: d, .. } = *self;
        let Shown { group, member, instance, host, client, partitions, .. } = shown;
        let instance = self.instance.map_or_else(String::new, |width| format!("{instance:<width$} "));
        format!("{group:<a$} {member:<b$} {instance}{host:<c$} {client:<d$} {partitions:<15} ")
    }

    fn details(&self, shown: &Shown) -> String {
        let Self { assignment: a, target: b, .. } = *self;
        let Shown { epoch, assignment, target_epoch, target, upgraded, .. } = shown;
        let upgraded = upgraded.as_ref().map_or_else(String::new, |upgraded| format!(" {upgraded}"));
        format!("{epoch:<15} {assignment:<a$} {target_epoch:<15} {target:<b$}{upgraded}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_names_each_topic_once() {
        let partition = |topic: &str, index| TopicPartition::new(topic, index);
        let some = BTreeSet::from([partition("t", 2), partition("a", 0), partition("t", 10)]);
        assert_eq!(assignment(&some), "a:0;t:2,10");
        assert_eq!(assignment(&BTreeSet::new()), "-");
    }
}

use super::{Failure, chosen, members, print_error};
use crate::console::Console;
use crate::options::Parsed;
use ottla_client::{Admin, BrokerDescription, ClientError, GroupDescription, OffsetAndMetadata, OffsetSpec};
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// What stands where there is nothing.
pub(super) const NOTHING: &str = "-";
/// The least width of a column that grows with what is in it.
pub(super) const WIDTH: usize = 15;
const COORDINATOR_WIDTH: usize = 25;

/// `--describe`: offsets, members or states of groups, in the order of their ids.
pub(super) async fn describe(admin: &Admin, parsed: &Parsed, console: &mut Console) -> Result<(), Failure> {
    let verbose = parsed.has("verbose");
    let groups = described(admin, &chosen(admin, parsed).await?).await?;
    if parsed.has("members") {
        groups.values().for_each(|group| members::show(group, verbose, console));
    } else if parsed.has("state") {
        let brokers = admin.describe_cluster().await?.brokers;
        groups.values().for_each(|group| show_state(group, &brokers, verbose, console));
    } else {
        let mut tables = Vec::with_capacity(groups.len());
        for group in groups.values() {
            tables.push(rows(admin, group).await?);
        }
        groups.values().zip(&tables).for_each(|(group, rows)| show_offsets(group, rows, verbose, console));
    }
    Ok(())
}

async fn described(admin: &Admin, ids: &[String]) -> Result<BTreeMap<String, GroupDescription>, ClientError> {
    let mut groups = BTreeMap::new();
    for id in ids {
        groups.insert(id.clone(), admin.describe_group(id).await?);
    }
    Ok(groups)
}

/// Says what is to be said of a group's state, and whether there is a table to show.
pub(super) fn has_table(group: &GroupDescription, rows: usize, console: &mut Console) -> bool {
    let id = &group.group_id;
    match group.state.as_str() {
        "Dead" => print_error(&format!("Consumer group '{id}' does not exist."), console),
        "Empty" => console.error_line(&format!("\nConsumer group '{id}' has no active members.")),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            console.error_line(&format!("\nWarning: Consumer group '{id}' is rebalancing."));
        }
        _ => {}
    }
    group.state != "Dead" && rows > 0
}

/// One line about a partition.
#[derive(Debug)]
struct Row {
    partition: TopicPartition,
    committed: Option<OffsetAndMetadata>,
    end: Option<i64>,
    /// Id, host and client of the member that reads it.
    member: [String; 3],
}

/// The partitions that members read, those of the busiest member first, then those that only have offsets.
async fn rows(admin: &Admin, group: &GroupDescription) -> Result<Vec<Row>, ClientError> {
    let committed = admin.list_group_offsets(&group.group_id, None).await?;
    let mut readers: Vec<_> = group.members.iter().filter(|member| !member.assignment.is_empty()).collect();
    readers.sort_by_key(|member| std::cmp::Reverse(member.assignment.len()));
    let mut wanted: Vec<(TopicPartition, [String; 3])> = Vec::new();
    for member in readers {
        let who = [member.member_id.clone(), member.host.clone(), member.client_id.clone()];
        wanted.extend(member.assignment.iter().map(|partition| (partition.clone(), who.clone())));
    }
    let read: BTreeSet<_> = wanted.iter().map(|(partition, _)| partition.clone()).collect();
    let nobody = [NOTHING, NOTHING, NOTHING].map(str::to_owned);
    let unread = committed.keys().filter(|partition| !read.contains(*partition));
    wanted.extend(unread.map(|partition| (partition.clone(), nobody.clone())));
    let specs = wanted.iter().map(|(partition, _)| (partition.clone(), OffsetSpec::Latest)).collect();
    // An offset of a partition that is gone, or has no leader, has no end.
    let ends = admin.list_offsets(&specs).await?;
    let row = |(partition, member): (TopicPartition, _)| Row {
        committed: committed.get(&partition).cloned(),
        end: ends.get(&partition).and_then(|end| end.as_ref().ok()).map(|end| end.offset),
        partition,
        member,
    };
    Ok(wanted.into_iter().map(row).collect())
}

fn show_offsets(group: &GroupDescription, rows: &[Row], verbose: bool, console: &mut Console) {
    if !has_table(group, rows.len(), console) {
        return;
    }
    let id = group.group_id.as_str();
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default().max(WIDTH);
    let widths = [
        widest(&mut std::iter::once(length(id))),
        widest(&mut rows.iter().map(|row| length(&row.partition.topic))),
        widest(&mut rows.iter().map(|row| length(&row.member[0]))),
        widest(&mut rows.iter().map(|row| length(&row.member[1]))),
    ];
    let mut line = |cells: [&str; 10]| {
        let [group, topic, partition, epoch, current, end, lag, member, host, client] = cells;
        let [a, b, c, d] = widths;
        let epoch = if verbose { format!("{epoch:<15} ") } else { String::new() };
        console.print(&format!(
            "\n{group:<a$} {topic:<b$} {partition:<10} {epoch}{current:<15} {end:<15} {lag:<15} {member:<c$} {host:<d$} {client}"
        ));
    };
    line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ]);
    for row in rows {
        let committed = row.committed.as_ref().map(|committed| committed.offset);
        let epoch = row.committed.as_ref().and_then(|committed| committed.leader_epoch);
        let lag = committed.filter(|offset| *offset != -1).and_then(|offset| Some(row.end? - offset));
        let [partition, epoch] =
            [Some(row.partition.partition.value()), epoch].map(|number| text(number.map(i64::from)));
        let [current, end, lag] = [committed, row.end, lag].map(text);
        let [member, host, client] = &row.member;
        line([id, &row.partition.topic, &partition, &epoch, &current, &end, &lag, member, host, client]);
    }
    console.line("");
}

fn text(number: Option<i64>) -> String {
    number.map_or_else(|| NOTHING.to_owned(), |number| number.to_string())
}

pub(super) fn length(text: &str) -> usize {
    text.chars().count()
}

fn show_state(group: &GroupDescription, brokers: &[BrokerDescription], verbose: bool, console: &mut Console) {
    if !has_table(group, 1, console) {
        return;
    }
    let coordinator = coordinator(group.coordinator, brokers);
    let assignor = if group.assignor.is_empty() { NOTHING } else { &group.assignor };
    let epochs = [group.group_epoch, group.assignment_epoch].map(|epoch| text(epoch.map(i64::from)));
    let (a, b) = (length(&group.group_id).max(WIDTH), length(&coordinator).max(COORDINATOR_WIDTH));
    let mut line = |[id, coordinator, assignor, state, epoch, target, members]: [&str; 7]| {
        let epochs = if verbose { format!("{epoch:<15} {target:<25} ") } else { String::new() };
        console.print(&format!("\n{id:<a$} {coordinator:<b$} {assignor:<20} {state:<20} {epochs}{members}"));
    };
    line([
        "GROUP",
        "COORDINATOR (ID)",
        "ASSIGNMENT-STRATEGY",
        "STATE",
        "GROUP-EPOCH",
        "TARGET-ASSIGNMENT-EPOCH",
        "#MEMBERS",
    ]);
    let members = group.members.len().to_string();
    line([&group.group_id, &coordinator, assignor, &group.state, &epochs[0], &epochs[1], &members]);
    console.line("");
}

fn coordinator(id: NodeId, brokers: &[BrokerDescription]) -> String {
    match brokers.iter().find(|broker| broker.id == id) {
        Some(broker) => format!("{}:{}  ({})", broker.host, broker.port, id.value()),
        None => format!("{NOTHING}  ({})", id.value()),
    }
}

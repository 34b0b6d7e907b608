//! Why one thing is as it is.

use super::facts::{GroupFacts, OpenTransaction, end_offsets, lags, led_partitions, open_transactions};
use super::findings::transaction;
use crate::texts::{count, duration};
use ottla_client::{
    Admin, ClientError, GroupDescription, GroupKind, GroupListing, MemberDescription, OffsetSpec, QuotaFilter,
    QuotaMatch, QuotaValues,
};
use ottla_types::{Timestamp, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// Sentences about a thing, and whether it is as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) sentences: Vec<String>,
    pub(super) is_well: bool,
}

impl Explanation {
    fn well() -> Self {
        Self { sentences: Vec::new(), is_well: true }
    }

    fn say(&mut self, sentence: impl Into<String>) {
        self.sentences.push(sentence.into());
    }

    fn wrong(&mut self, sentence: impl Into<String>) {
        self.say(sentence);
        self.is_well = false;
    }
}

pub(super) async fn group(admin: &Admin, name: &str) -> Result<Explanation, ClientError> {
    let description = admin.describe_group(name).await?;
    let offsets = admin.list_group_offsets(name, None).await?;
    let ends = end_offsets(admin, offsets.keys().cloned()).await?;
    let listing =
        GroupListing { group_id: name.to_owned(), protocol_type: String::new(), state: None, kind: description.kind };
    Ok(of_group(&GroupFacts { listing, description: Some(description), lags: lags(&offsets, &ends) }))
}

/// What there is to say of a group.
pub(super) fn of_group(facts: &GroupFacts) -> Explanation {
    let mut explanation = Explanation::well();
    let Some(group) = &facts.description else { return explanation };
    let name = &group.group_id;
    let protocol = group.kind.name().to_lowercase();
    explanation.say(format!(
        "The group {name} uses the {protocol} protocol, is in the state {} and has {}.",
        group.state,
        count(group.members.len(), "member")
    ));
    match group.state.as_str() {
        "Dead" => explanation.wrong(format!("There is no group {name}: nobody has joined or committed under this name.")),
        "PreparingRebalance" => explanation.wrong(
            "It rebalances: a member came or went, or its subscription or the topics' partitions changed. It waits until every \
             member has joined again, which a member does when it polls next; one that takes long between two polls holds all \
             the others up, until max.poll.interval.ms (rebalance timeout) is over and it is left out.",
        ),
        "CompletingRebalance" => explanation.wrong(
            "It rebalances: all members have joined, and it waits for the assignment of the one that leads the group. If this \
             lasts, that member does not get on: look at the process that joined first.",
        ),
        "Assigning" => explanation.wrong("It rebalances: a new assignment is being computed."),
        "Reconciling" => {
            explanation.wrong("It rebalances: members go over to their new assignment one by one.");
            reconciling(group, &mut explanation);
        }
        _ => {}
    }
    lag(facts, group, &mut explanation);
    explanation
}

/// Who holds up a group of the consumer protocol.
fn reconciling(group: &GroupDescription, explanation: &mut Explanation) {
    let empty = BTreeSet::new();
    for member in &group.members {
        let target = member.target_assignment.as_ref().unwrap_or(&empty);
        let to_give_up: Vec<String> = member.assignment.difference(target).map(TopicPartition::to_string).collect();
        let to_get: Vec<String> = target.difference(&member.assignment).map(TopicPartition::to_string).collect();
        if !to_give_up.is_empty() {
            explanation.say(format!(
                "{} has not given up {} yet: it does so when it polls next, or is put out after its rebalance timeout \
                 (max.poll.interval.ms).",
                who(member),
                to_give_up.join(", ")
            ));
        } else if !to_get.is_empty() {
            explanation.say(format!("{} waits for {}.", who(member), to_get.join(", ")));
        }
    }
}

fn who(member: &MemberDescription) -> String {
    let host = member.host.trim_start_matches('/');
    format!("The member {} (client {} at {host})", member.member_id, member.client_id)
}

fn lag(facts: &GroupFacts, group: &GroupDescription, explanation: &mut Explanation) {
    let lag = facts.lag();
    if facts.lags.is_empty() {
        return explanation.say("It has committed nothing yet.");
    }
    if lag == 0 {
        return explanation.say("It has read everything.");
    }
    let lagging = facts.lags.iter().filter(|(_, lag)| **lag > 0);
    let most = lagging.clone().max_by_key(|(_, lag)| **lag);
    let most = most.map_or_else(String::new, |(partition, lag)| format!(", most of all {partition} with {lag}"));
    explanation.say(format!("It has {} to read{most}.", count(lag, "record")));
    let owned: BTreeSet<&TopicPartition> = group.members.iter().flat_map(|member| &member.assignment).collect();
    let nobodys: Vec<String> =
        lagging.map(|(partition, _)| partition).filter(|one| !owned.contains(one)).map(|one| one.to_string()).collect();
    if group.members.is_empty() {
        explanation.wrong("Nobody reads them, since it has no member: start its consumers.");
    } else if !nobodys.is_empty() && group.kind != GroupKind::Unknown {
        explanation.wrong(format!(
            "No member reads {}: no member subscribes to them, or the group is rebalancing.",
            nobodys.join(", ")
        ));
    }
}

pub(super) async fn topic(admin: &Admin, name: &str, now: Timestamp) -> Result<Explanation, ClientError> {
    let described = admin.describe_topics(&BTreeSet::from([name.to_owned()]), i32::MAX).await?;
    let topic =
        described.into_values().next().ok_or(ClientError::State("a topic was asked for but not answered"))??;
    let mut explanation = Explanation::well();
    explanation.say(format!("The topic {name} has {}.", count(topic.partitions.len(), "partition")));
    for partition in &topic.partitions {
        if partition.leader.is_none() {
            explanation
                .wrong(format!("{name}-{} has no leader, so that nobody can read or write it.", partition.index));
        } else if partition.in_sync_replicas.len() < partition.replicas.len() {
            let (in_sync, all) = (partition.in_sync_replicas.len(), partition.replicas.len());
            explanation.wrong(format!("{name}-{} has {in_sync} of {all} replicas in sync.", partition.index));
        }
    }
    let partitions = led_partitions(std::slice::from_ref(&topic));
    let open = open_transactions(admin, &partitions).await?;
    let specs = partitions.iter().map(|partition| (partition.clone(), OffsetSpec::Latest)).collect();
    let ends: BTreeMap<TopicPartition, i64> = admin
        .list_offsets(&specs)
        .await?
        .into_iter()
        .filter_map(|(partition, end)| Some((partition, end.ok()?.offset)))
        .collect();
    held_back(&open, &ends, now, &mut explanation);
    Ok(explanation)
}

/// What keeps readers of committed records back.
pub(super) fn held_back(
    open: &[OpenTransaction],
    ends: &BTreeMap<TopicPartition, i64>,
    now: Timestamp,
    explanation: &mut Explanation,
) {
    if open.is_empty() {
        return explanation.say("No transaction is open on it: readers of committed records see everything.");
    }
    for one in open {
        let partition = &one.partition;
        let start = one.producer.transaction_start_offset.map_or(-1, |offset| offset.value());
        if let Some(end) = ends.get(partition) {
            explanation.say(format!(
                "{partition}: the last stable offset is held back at {start}, {} before the end.",
                count(end - start, "record")
            ));
        }
        match (transaction(one, now), &one.known) {
            (Some((what, advice)), _) => {
                explanation.wrong(what);
                explanation.say(advice);
            }
            (None, Some((name, known))) => {
                let begun = known.started.map_or(0, |started| now.value() - started.value());
                explanation.say(format!(
                    "The transaction of {name} has been open for {}; it may take {}.",
                    duration(begun),
                    duration(known.timeout_ms.into())
                ));
            }
            (None, None) => {}
        }
    }
}

pub(super) async fn client(admin: &Admin, id: &str) -> Result<Explanation, ClientError> {
    let mut explanation = Explanation::well();
    for (matches, whose) in [
        (QuotaMatch::Exact(id.to_owned()), format!("the client {id}")),
        (QuotaMatch::Default, "clients without quotas of their own".to_owned()),
    ] {
        let filter = QuotaFilter { entity_type: "client-id".to_owned(), matches };
        for (_, quotas) in admin.describe_client_quotas(&[filter]).await? {
            explanation.say(format!("Quotas of {whose}: {}.", quotas_text(&quotas)));
        }
    }
    if explanation.sentences.is_empty() {
        explanation
            .say(format!("No quota is set that the client {id} comes under by its id: it is not throttled by one."));
    } else {
        explanation.say(
            "A server that enforces quotas answers a client that is over them later, by throttle_time_ms. Ottla keeps quotas and \
             does not enforce them yet.",
        );
    }
    let (groups, _) = admin.list_groups(&[], &[]).await?;
    let mut is_member = false;
    for group in groups.iter().filter(|group| matches!(group.kind, GroupKind::Classic | GroupKind::Consumer)) {
        let Ok(description) = admin.describe_group(&group.group_id).await else { continue };
        for member in description.members.iter().filter(|member| member.client_id == id) {
            is_member = true;
            let reads: Vec<String> = member.assignment.iter().map(TopicPartition::to_string).collect();
            let reads = if reads.is_empty() { "nothing".to_owned() } else { reads.join(", ") };
            explanation.say(format!(
                "It is a member of the group {} from {}, and reads {reads}.",
                group.group_id,
                member.host.trim_start_matches('/')
            ));
        }
    }
    if !is_member {
        explanation.say("It is a member of no group.");
    }
    Ok(explanation)
}

fn quotas_text(quotas: &QuotaValues) -> String {
    let quota = |(name, value): (&String, &f64)| match name.as_str() {
        "producer_byte_rate" => format!("{value} bytes written a second"),
        "consumer_byte_rate" => format!("{value} bytes read a second"),
        "request_percentage" => format!("{value}% of a thread's time"),
        "controller_mutation_rate" => format!("{value} partitions created or deleted a second"),
        other => format!("{other} {value}"),
    };
    quotas.iter().map(quota).collect::<Vec<_>>().join(", ")
}

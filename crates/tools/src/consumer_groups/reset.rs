use super::plan::{self, Plan};
use super::{Failure, chosen, options, print_error, time};
use crate::connection::PARTITIONS_PER_ANSWER;
use crate::console::Console;
use crate::java::{self, Sized};
use crate::options::Parsed;
use ottla_client::{Admin, ClientError, ErrorCode, OffsetAndMetadata, OffsetSpec};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

const WIDTH: usize = 15;
const LOGGER: &str = "org.apache.kafka.tools.GroupOffsetsResetter";

type Offsets = BTreeMap<TopicPartition, i64>;

/// `--reset-offsets`.
pub(super) async fn reset(admin: &Admin, parsed: &Parsed, console: &mut Console) -> Result<(), Failure> {
    let mut groups = chosen(admin, parsed).await?;
    groups.sort();
    groups.dedup();
    java::hash_order(&mut groups, Sized::Default, |group| java::string_hash(group));
    let execute = parsed.has("execute");
    let plan = match parsed.value("from-file")? {
        Some(path) => Some(plan::read(&path, &parsed.values("group"))?),
        None => None,
    };
    let mut prepared = Vec::with_capacity(groups.len());
    for group in groups {
        let mut offsets = Offsets::new();
        if is_inactive(admin, &group, console).await? {
            let resetter = Resetter { admin, parsed, group: &group };
            offsets = resetter.prepare(plan.as_ref(), console).await?;
            if execute {
                set(admin, &group, &offsets).await?;
            }
        }
        prepared.push((group, in_order(offsets)));
    }
    if parsed.has("export") {
        export(&prepared, parsed.values("group").len() == 1, console);
    } else {
        show(&prepared, console);
    }
    Ok(())
}

/// Whether a group's offsets can be set: it has no members, or is not there yet.
async fn is_inactive(admin: &Admin, group: &str, console: &mut Console) -> Result<bool, Failure> {
    let state = match admin.describe_group(group).await {
        Ok(described) => described.state,
        Err(error) if error.is(ErrorCode::GroupIdNotFound) => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    if state == "Empty" || state == "Dead" {
        return Ok(true);
    }
    let message =
        format!("Assignments can only be reset if the group '{group}' is inactive, but the current state is {state}.");
    print_error(&message, console);
    Ok(false)
}

async fn set(admin: &Admin, group: &str, offsets: &Offsets) -> Result<(), ClientError> {
    let offsets = offsets.iter().map(|(partition, offset)| (partition.clone(), OffsetAndMetadata::new(*offset)));
    let results = admin.alter_group_offsets(group, &offsets.collect()).await?;
    results.into_values().collect()
}

/// Partitions in the order of Java's hash map.
fn in_order(offsets: Offsets) -> Vec<(TopicPartition, i64)> {
    let mut offsets: Vec<_> = offsets.into_iter().collect();
    java::hash_order(&mut offsets, Sized::Default, |(partition, _)| java::partition_hash(partition));
    offsets
}

/// `topic:0,1,2`.
pub(super) fn parse_partitions(text: &str) -> Result<Vec<TopicPartition>, Failure> {
    let parts: Vec<_> = text.split(':').collect();
    let [topic, partitions] = parts.as_slice() else {
        return Err(Failure::Usage(format!("Invalid topic arg '{text}', expected topic name and partitions")));
    };
    let partition = |index: &str| match index.parse::<i32>() {
        Ok(index) => Ok(TopicPartition::new(*topic, index)),
        Err(_) => Err(Failure::Usage(format!("Invalid partition '{index}' specified in topic arg '{text}''"))),
    };
    partitions.split(',').map(partition).collect()
}

struct Resetter<'a> {
    admin: &'a Admin,
    parsed: &'a Parsed,
    group: &'a str,
}

impl Resetter<'_> {
    /// The offsets that the group is to have.
    async fn prepare(&self, plan: Option<&Plan>, console: &mut Console) -> Result<Offsets, Failure> {
        if let Some(plan) = plan {
            return match plan.get(self.group) {
                Some(offsets) => self.within_bounds(offsets.clone(), console).await,
                None => {
                    print_error(&format!("No reset plan for group {} found.", self.group), console);
                    Ok(Offsets::new())
                }
            };
        }
        let partitions = self.partitions().await?;
        if let Some(offset) = self.parsed.number("to-offset")? {
            let wanted = partitions.into_iter().map(|partition| (partition, offset)).collect();
            return self.within_bounds(wanted, console).await;
        }
        if let Some(by) = self.parsed.number("shift-by")? {
            return self.shifted(&partitions, by, console).await;
        }
        if self.parsed.has("to-earliest") {
            return self.listed(&partitions, OffsetSpec::Earliest).await;
        }
        if self.parsed.has("to-latest") {
            return self.listed(&partitions, OffsetSpec::Latest).await;
        }
        if self.parsed.has("to-current") {
            return self.current(partitions).await;
        }
        match self.timestamp()? {
            Some(timestamp) => self.at(&partitions, timestamp, console).await,
            None => Err(Failure::Usage(options::missing_scenario())),
        }
    }

    /// The partitions within the scope that the arguments name.
    async fn partitions(&self) -> Result<BTreeSet<TopicPartition>, Failure> {
        if self.parsed.has("all-topics") {
            return Ok(self.committed().await?.into_keys().collect());
        }
        if !self.parsed.has("topic") {
            let message = "One of the reset scopes should be defined: --all-topics, --topic.";
            return Err(Failure::Usage(message.to_owned()));
        }
        let mut named = BTreeSet::new();
        let mut topics = BTreeSet::new();
        for topic in self.parsed.values("topic") {
            if topic.contains(':') {
                named.extend(parse_partitions(&topic)?);
            } else {
                topics.insert(topic);
            }
        }
        let mut all = named.clone();
        for (topic, described) in self.admin.describe_topics(&topics, PARTITIONS_PER_ANSWER).await? {
            let described = described.map_err(|error| direct(&error))?;
            all.extend(described.partitions.iter().map(|one| TopicPartition::new(topic.as_str(), one.index)));
        }
        self.check_existence(&named).await?;
        Ok(all)
    }

    /// Refuses partitions that are named one by one and do not exist.
    async fn check_existence(&self, named: &BTreeSet<TopicPartition>) -> Result<(), Failure> {
        let topics: BTreeSet<String> = named.iter().map(|partition| partition.topic.to_string()).collect();
        let described = self.admin.describe_topics(&topics, PARTITIONS_PER_ANSWER).await?;
        let exists = |partition: &&TopicPartition| {
            let topic = described.get(&*partition.topic).and_then(|topic| topic.as_ref().ok());
            topic.is_some_and(|topic| topic.partitions.iter().any(|one| one.index == partition.partition.value()))
        };
        let missing: Vec<_> = named.iter().filter(|partition| !exists(partition)).map(ToString::to_string).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("The partitions \"{}\" do not exist", missing.join(","));
        let class = "org.apache.kafka.common.errors.UnknownTopicOrPartitionException";
        Err(Failure::Failed { exception: format!("{class}: {message}"), message })
    }

    async fn committed(&self) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError> {
        self.admin.list_group_offsets(self.group, None).await
    }

    async fn listed(&self, partitions: &BTreeSet<TopicPartition>, spec: OffsetSpec) -> Result<Offsets, Failure> {
        let specs = partitions.iter().map(|partition| (partition.clone(), spec)).collect();
        let mut offsets = Offsets::new();
        for (partition, listed) in self.admin.list_offsets(&specs).await? {
            offsets.insert(partition, listed?.offset);
        }
        Ok(offsets)
    }

    async fn shifted(
        &self,
        partitions: &BTreeSet<TopicPartition>,
        by: i64,
        console: &mut Console,
    ) -> Result<Offsets, Failure> {
        let committed = self.committed().await?;
        let mut wanted = Offsets::new();
        for partition in partitions {
            let Some(current) = committed.get(partition) else {
                return Err(Failure::Usage(format!(
                    "Cannot shift offset for partition {partition} since there is no current committed offset"
                )));
            };
            wanted.insert(partition.clone(), current.offset.saturating_add(by));
        }
        self.within_bounds(wanted, console).await
    }

    /// What is committed; where nothing is, the end of the partition.
    async fn current(&self, partitions: BTreeSet<TopicPartition>) -> Result<Offsets, Failure> {
        let committed = self.committed().await?;
        let missing = partitions.iter().filter(|partition| !committed.contains_key(*partition)).cloned().collect();
        let mut offsets = self.listed(&missing, OffsetSpec::Latest).await?;
        let known = partitions.into_iter().filter_map(|partition| {
            let offset = committed.get(&partition)?.offset;
            Some((partition, offset))
        });
        offsets.extend(known);
        Ok(offsets)
    }

    fn timestamp(&self) -> Result<Option<i64>, Failure> {
        if let Some(text) = self.parsed.value("to-datetime")? {
            let wrong = |message| {
                Failure::wrapped("java.lang.RuntimeException", format!("java.text.ParseException: {message}"))
            };
            return time::date_time(&text).map(Some).map_err(wrong);
        }
        let Some(text) = self.parsed.value("by-duration")? else { return Ok(None) };
        let duration = time::duration_ms(&text).map_err(|message| Failure::Failed {
            exception: format!("java.time.format.DateTimeParseException: {message}"),
            message,
        })?;
        Ok(Some(java::now_ms().saturating_sub(duration)))
    }

    /// The first records at or after a time; where there is none, the end of the partition.
    async fn at(
        &self,
        partitions: &BTreeSet<TopicPartition>,
        timestamp: i64,
        console: &mut Console,
    ) -> Result<Offsets, Failure> {
        let found = self.listed(partitions, OffsetSpec::Timestamp(timestamp)).await?;
        let (mut offsets, missing): (Offsets, Offsets) = found.into_iter().partition(|(_, offset)| *offset >= 0);
        for (partition, _) in in_order(missing.clone()) {
            console.line(&format!(
                "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.",
                partition.partition.value(),
                partition.topic
            ));
        }
        offsets.extend(self.listed(&missing.into_keys().collect(), OffsetSpec::Latest).await?);
        Ok(offsets)
    }

    /// Draws offsets into what their partitions have.
    async fn within_bounds(&self, wanted: Offsets, console: &mut Console) -> Result<Offsets, Failure> {
        let partitions: BTreeSet<_> = wanted.keys().cloned().collect();
        let first = self.listed(&partitions, OffsetSpec::Earliest).await?;
        let end = self.listed(&partitions, OffsetSpec::Latest).await?;
        let mut warn = |offset: i64, side: &str, partition: &TopicPartition, set: i64| {
            let text = format!(
                "New offset ({offset}) is {side} offset for topic partition {partition}. Value will be set to {set}."
            );
            console.error_line(&java::log_line("WARN", &text, LOGGER));
            set
        };
        let mut offsets = Offsets::new();
        for (partition, offset) in in_order(wanted) {
            let set = match (first.get(&partition), end.get(&partition)) {
                (_, Some(end)) if offset > *end => warn(offset, "higher than latest", &partition, *end),
                (Some(first), _) if offset < *first => warn(offset, "lower than earliest", &partition, *first),
                _ => offset,
            };
            offsets.insert(partition, set);
        }
        Ok(offsets)
    }
}

/// A failure that Java's tool throws as it is.
fn direct(error: &ClientError) -> Failure {
    Failure::Failed { message: error.to_string(), exception: java::exception(error) }
}

type Prepared = [(String, Vec<(TopicPartition, i64)>)];

fn show(prepared: &Prepared, console: &mut Console) {
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default().max(WIDTH);
    let group_width = widest(&mut prepared.iter().map(|(group, _)| group.chars().count()));
    let topics = prepared.iter().flat_map(|(_, offsets)| offsets);
    let topic_width = widest(&mut topics.map(|(partition, _)| partition.topic.chars().count()));
    let mut line = |group: &str, topic: &str, partition: &str, offset: &str| {
        console.print(&format!("\n{group:<group_width$} {topic:<topic_width$} {partition:<10} {offset}"));
    };
    if !prepared.is_empty() {
        line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
    }
    for (group, offsets) in prepared {
        for (partition, offset) in offsets {
            line(group, &partition.topic, &partition.partition.value().to_string(), &offset.to_string());
        }
    }
    console.line("");
}

fn export(prepared: &Prepared, is_single: bool, console: &mut Console) {
    for (group, offsets) in prepared {
        for (partition, offset) in offsets {
            console.print(&plan::line((!is_single).then_some(group), partition, *offset));
        }
    }
    console.line("");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_stand_behind_their_topic() {
        let names: Vec<_> = parse_partitions("t:0,12").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["t-0", "t-12"]);
        let usage = |text| match parse_partitions(text) {
            Err(Failure::Usage(message)) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(usage("t:x"), "Invalid partition 'x' specified in topic arg 't:x''");
        assert_eq!(usage("t:1:2"), "Invalid topic arg 't:1:2', expected topic name and partitions");
    }
}

use super::violation::{Kind, Violations};
use ottla_types::TopicId;
use std::collections::{BTreeMap, HashMap};

/// A topic as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// The configuration that was set for it, not what it has from the node.
    pub configs: BTreeMap<String, String>,
}

/// What is asked of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is to be.
    Create {
        /// With so many partitions.
        partitions: i32,
        /// And these settings.
        configs: BTreeMap<String, String>,
    },
    /// It is to be no more.
    Delete,
    /// It is to have so many partitions.
    Partitions(i32),
    /// One setting is to have this value, or none of its own.
    Configure(String, Option<String>),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged; with the id of a topic that was created.
    Done(Option<TopicId>),
    /// It was refused.
    Refused,
    /// Nobody answered.
    Unknown,
}

/// One life of a topic, as it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Life {
    /// Which of all that were asked for.
    number: u64,
    id: Option<TopicId>,
    partitions: i32,
    configs: BTreeMap<String, String>,
}

/// What is known of all topics. Each topic is changed by one client, one change after the other; a change that was not
/// answered leaves two possibilities, between which the next look decides.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// What each topic may be; `None` is that there is none.
    topics: BTreeMap<String, Vec<Option<Life>>>,
    /// Whose each id is.
    ids: HashMap<TopicId, u64>,
    lives: u64,
    /// How many changes were acknowledged.
    count: u64,
}

impl Catalog {
    /// How many changes were acknowledged.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The topics that were ever asked for.
    pub fn names(&self) -> Vec<String> {
        self.topics.keys().cloned().collect()
    }

    /// A change was asked for, with this outcome.
    pub fn note(&mut self, name: &str, change: &Change, outcome: Outcome, found: &mut Violations) {
        let possible = self.topics.entry(name.to_owned()).or_insert_with(|| vec![None]);
        self.count += u64::from(matches!(outcome, Outcome::Done(_)));
        let id = match outcome {
            Outcome::Done(id) => id,
            Outcome::Unknown => None,
            Outcome::Refused => return,
        };
        self.lives += u64::from(matches!(change, Change::Create { .. }));
        let mut changed: Vec<_> = possible.iter().filter_map(|life| apply(life, change, id, self.lives)).collect();
        if outcome == Outcome::Unknown {
            changed.append(possible);
        }
        changed.dedup();
        // What was acknowledged, although it was impossible, is believed: the next look shows what is wrong.
        if !changed.is_empty() {
            *possible = changed;
        }
        if let Some(id) = id {
            self.own(name, id, self.lives, found);
        }
    }

    fn own(&mut self, name: &str, id: TopicId, life: u64, found: &mut Violations) {
        let owner = *self.ids.entry(id).or_insert(life);
        if owner != life {
            self.ids.insert(id, life);
            found.add(Kind::WrongTopicId, format!("{name} has the id {id} of another topic"));
        }
    }

    /// The server was asked what there is of this name, after everything that was noted.
    pub fn look(&mut self, name: &str, now: Option<&Found>, found: &mut Violations) {
        let possible = self.topics.entry(name.to_owned()).or_insert_with(|| vec![None]);
        let fitting: Vec<_> = possible.iter().filter(|life| fits(life.as_ref(), now)).cloned().collect();
        if fitting.is_empty() {
            let (kind, why) = difference(possible, now);
            found.add(kind, format!("{name}: {why}; it may be {possible:?}, there is {now:?}"));
            self.lives += 1;
            // What is there from now on is believed, so that one fault is told once.
            self.ids.extend(now.map(|now| (now.id, self.lives)));
            *possible = vec![now.map(|now| Life {
                number: self.lives,
                id: Some(now.id),
                partitions: now.partitions,
                configs: now.configs.clone(),
            })];
            return;
        }
        let mut fitting = fitting;
        if let (Some(now), Some(Some(life))) = (now, fitting.first_mut()) {
            life.id = Some(now.id);
            let number = life.number;
            fitting.truncate(1);
            *possible = fitting;
            self.own(name, now.id, number, found);
        } else {
            *possible = fitting;
        }
    }
}

/// What a change makes of one possibility; `None` if it can't have been acknowledged there.
fn apply(life: &Option<Life>, change: &Change, id: Option<TopicId>, number: u64) -> Option<Option<Life>> {
    match (life, change) {
        (None, Change::Create { partitions, configs }) => {
            Some(Some(Life { number, id, partitions: *partitions, configs: configs.clone() }))
        }
        (Some(_), Change::Delete) => Some(None),
        (Some(life), Change::Partitions(partitions)) => Some(Some(Life { partitions: *partitions, ..life.clone() })),
        (Some(life), Change::Configure(key, value)) => {
            let mut life = life.clone();
            match value {
                Some(value) => life.configs.insert(key.clone(), value.clone()),
                None => life.configs.remove(key),
            };
            Some(Some(life))
        }
        _ => None,
    }
}

fn fits(life: Option<&Life>, now: Option<&Found>) -> bool {
    match (life, now) {
        (None, None) => true,
        (Some(life), Some(now)) => {
            life.id.is_none_or(|id| id == now.id) && life.partitions == now.partitions && life.configs == now.configs
        }
        _ => false,
    }
}

/// Which promise was broken, by the last of the possibilities.
fn difference(possible: &[Option<Life>], now: Option<&Found>) -> (Kind, &'static str) {
    match (possible.iter().flatten().next(), now) {
        (_, None) => (Kind::TopicLost, "it is gone"),
        (None, Some(_)) => (Kind::TopicBack, "it is back"),
        (Some(life), Some(now)) if life.id.is_some_and(|id| id != now.id) => (Kind::WrongTopicId, "it has another id"),
        (Some(life), Some(now)) if life.partitions != now.partitions => (Kind::TopicLost, "partitions differ"),
        _ => (Kind::ConfigurationLost, "its configuration differs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> TopicId {
        TopicId::from_u128(number)
    }

    fn create() -> Change {
        Change::Create { partitions: 1, configs: BTreeMap::new() }
    }

    fn there(number: u128, partitions: i32, configs: &[(&str, &str)]) -> Found {
        let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Found { id: id(number), partitions, configs }
    }

    fn set(value: &str) -> Change {
        Change::Configure("retention.ms".to_owned(), Some(value.to_owned()))
    }

    const DONE: Outcome = Outcome::Done(None);

    /// What is found when this is there after these changes.
    fn looked(changes: &[(Change, Outcome)], now: Option<Found>) -> Vec<Kind> {
        let (mut catalog, mut found) = (Catalog::default(), Violations::default());
        changes.iter().for_each(|(change, outcome)| catalog.note("t", change, *outcome, &mut found));
        catalog.look("t", now.as_ref(), &mut found);
        // What is there stays there.
        let count = found.count;
        catalog.look("t", now.as_ref(), &mut found);
        assert_eq!(found.count, count, "{found}");
        found.kinds()
    }

    #[test]
    fn what_was_acknowledged_is_believed() {
        let created = (create(), Outcome::Done(Some(id(1))));
        assert_eq!(looked(std::slice::from_ref(&created), Some(there(1, 1, &[]))), []);
        assert_eq!(looked(&[created.clone(), (Change::Delete, DONE)], None), []);
        let changed = [created, (Change::Partitions(3), DONE), (set("5"), DONE)];
        assert_eq!(looked(&changed, Some(there(1, 3, &[("retention.ms", "5")]))), []);
    }

    #[test]
    fn what_was_not_answered_may_be_or_not() {
        assert_eq!(looked(&[(create(), Outcome::Unknown)], None), []);
        assert_eq!(looked(&[(create(), Outcome::Unknown)], Some(there(1, 1, &[]))), []);
        let deleted = [(create(), Outcome::Done(Some(id(1)))), (Change::Delete, Outcome::Unknown)];
        assert_eq!(looked(&deleted, None), []);
        assert_eq!(looked(&deleted, Some(there(1, 1, &[]))), []);
        let configured = [(create(), Outcome::Done(Some(id(1)))), (set("5"), DONE), (set("6"), Outcome::Unknown)];
        for value in ["5", "6"] {
            assert_eq!(looked(&configured, Some(there(1, 1, &[("retention.ms", value)]))), []);
        }
    }

    #[test]
    fn a_created_topic_that_is_gone_is_found() {
        assert_eq!(looked(&[(create(), Outcome::Done(Some(id(1))))], None), [Kind::TopicLost]);
    }

    #[test]
    fn partitions_that_are_gone_are_found() {
        let changes = [(create(), Outcome::Done(Some(id(1)))), (Change::Partitions(3), DONE)];
        assert_eq!(looked(&changes, Some(there(1, 1, &[]))), [Kind::TopicLost]);
    }

    #[test]
    fn a_deleted_topic_that_is_back_is_found() {
        let changes = [(create(), Outcome::Done(Some(id(1)))), (Change::Delete, DONE)];
        assert_eq!(looked(&changes, Some(there(1, 1, &[]))), [Kind::TopicBack]);
        assert_eq!(looked(&[(create(), Outcome::Refused)], Some(there(1, 1, &[]))), [Kind::TopicBack]);
    }

    #[test]
    fn the_first_life_in_the_place_of_the_second_is_found() {
        let first = (create(), Outcome::Done(Some(id(1))));
        let second = (create(), Outcome::Done(Some(id(2))));
        let changes = [first, (Change::Delete, DONE), second];
        assert_eq!(looked(&changes, Some(there(2, 1, &[]))), []);
        assert_eq!(looked(&changes, Some(there(1, 1, &[]))), [Kind::WrongTopicId]);
    }

    #[test]
    fn an_id_that_is_used_again_is_found() {
        let again = (create(), Outcome::Done(Some(id(1))));
        let changes = [again.clone(), (Change::Delete, DONE), again];
        assert_eq!(looked(&changes, Some(there(1, 1, &[]))), [Kind::WrongTopicId]);
        let unknown = (create(), Outcome::Unknown);
        let changes = [(create(), Outcome::Done(Some(id(1)))), (Change::Delete, DONE), unknown];
        assert_eq!(looked(&changes, Some(there(1, 1, &[]))), [Kind::WrongTopicId]);
    }

    #[test]
    fn a_configuration_that_is_lost_or_old_is_found() {
        let changes = [(create(), Outcome::Done(Some(id(1)))), (set("5"), DONE), (set("6"), DONE)];
        for configs in [&[][..], &[("retention.ms", "5")]] {
            assert_eq!(looked(&changes, Some(there(1, 1, configs))), [Kind::ConfigurationLost], "{configs:?}");
        }
        let unset = (Change::Configure("retention.ms".to_owned(), None), DONE);
        let changes = [changes[0].clone(), changes[1].clone(), unset];
        assert_eq!(looked(&changes, Some(there(1, 1, &[("retention.ms", "5")]))), [Kind::ConfigurationLost]);
    }
}

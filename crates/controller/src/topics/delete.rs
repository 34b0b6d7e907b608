use crate::outcome::{RECORDS_MAX, TOO_MANY_RECORDS};
use crate::{ApiError, Context, Controller, Outcome};
use ottla_metadata::VersionedRecord;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_topics_response::DeletableTopicResult;
use ottla_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use ottla_protocol::metadata_records::{MetadataRecord, RemoveTopicRecord};
use ottla_types::{TopicId, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// From this version of the request on, TOPIC_DELETION_DISABLED exists.
const DISABLED_VERSION: i16 = 3;

/// How the request names a topic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Name(String),
    Id(TopicId),
    Both(String, TopicId),
    Neither,
}

impl Controller {
    /// DeleteTopics, by names or by ids. Each topic succeeds or fails by itself.
    pub fn delete_topics(&mut self, context: &Context, request: &DeleteTopicsRequest) -> Outcome<DeleteTopicsResponse> {
        let mut topics: Vec<Named> = request.topic_names.iter().cloned().map(Named::Name).collect();
        topics.extend(request.topics.iter().map(|topic| match (&topic.name, topic.topic_id) {
            (Some(name), Uuid::ZERO) => Named::Name(name.clone()),
            (Some(name), id) => Named::Both(name.clone(), id),
            (None, Uuid::ZERO) => Named::Neither,
            (None, id) => Named::Id(id),
        }));
        let mut times = BTreeMap::new();
        for topic in &topics {
            *times.entry(topic.clone()).or_insert(0) += 1;
        }
        let twofold = self.named_twofold(&topics);
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            // A topic that is named twice is reported once, as an error.
            let Some(count) = times.remove(&topic) else { continue };
            if matches!(topic, Named::Id(id) if twofold.contains(&id)) {
                continue;
            }
            let result = self.delete_topic(context, &topic, count, &twofold, &mut records);
            let (error_code, error_message) = ApiError::parts(result.clone().map(drop));
            let (name, topic_id) = self.shown(&topic, result.ok().or_else(|| self.id_of(&topic, &twofold)));
            results.push(DeletableTopicResult { name, topic_id, error_code, error_message, ..Default::default() });
        }
        if records.len() > RECORDS_MAX {
            for result in &mut results {
                result.error_code = ErrorCode::PolicyViolation.code();
                result.error_message = Some(TOO_MANY_RECORDS.to_owned());
            }
            records.clear();
        }
        Outcome::atomic(records, DeleteTopicsResponse { responses: results, ..Default::default() })
    }

    /// Topics that are named by their name and by their id. Each is reported once, as an error.
    fn named_twofold(&self, topics: &[Named]) -> BTreeSet<TopicId> {
        let by_name = topics.iter().filter_map(|topic| match topic {
            Named::Name(name) => self.image.topics.topic_id(name),
            _ => None,
        });
        by_name.filter(|id| topics.contains(&Named::Id(*id))).collect()
    }

    fn id_of(&self, topic: &Named, twofold: &BTreeSet<TopicId>) -> Option<TopicId> {
        let Named::Name(name) = topic else { return None };
        self.image.topics.topic_id(name).filter(|id| twofold.contains(id))
    }

    fn delete_topic(
        &self,
        context: &Context,
        topic: &Named,
        times: usize,
        twofold: &BTreeSet<TopicId>,
        records: &mut Vec<VersionedRecord>,
    ) -> Result<TopicId, ApiError> {
        let invalid = |message: &str| Err(ApiError::new(ErrorCode::InvalidRequest, message));
        if !self.node.topics.delete_topic_enable {
            return Err(ApiError::bare(match context.version {
                ..DISABLED_VERSION => ErrorCode::InvalidRequest,
                _ => ErrorCode::TopicDeletionDisabled,
            }));
        }
        let id = match topic {
            Named::Neither => return invalid("Neither topic name nor id were specified."),
            Named::Both(..) => return invalid("You may not specify both topic name and topic id."),
            Named::Name(_) if times > 1 => return invalid("Duplicate topic name."),
            Named::Id(_) if times > 1 => return invalid("Duplicate topic id."),
            Named::Name(name) => self.image.topics.topic_id(name),
            Named::Id(id) => self.image.topics.topic(*id).map(|topic| topic.id),
        };
        let unknown = match topic {
            Named::Id(_) => ErrorCode::UnknownTopicId,
            _ => ErrorCode::UnknownTopicOrPartition,
        };
        let topic_id = id.ok_or_else(|| ApiError::new(unknown, unknown.message()))?;
        if twofold.contains(&topic_id) {
            return invalid("The provided topic name maps to an ID that was already supplied.");
        }
        records.push(MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id, ..Default::default() }).into());
        Ok(topic_id)
    }

    /// Name and id in the answer: both for a topic that is deleted, else what the request had.
    fn shown(&self, topic: &Named, deleted: Option<TopicId>) -> (Option<String>, TopicId) {
        if let Some(topic) = deleted.and_then(|id| self.image.topics.topic(id)) {
            return (Some(topic.name.to_string()), topic.id);
        }
        match topic {
            Named::Name(name) => (Some(name.clone()), TopicId::ZERO),
            Named::Id(id) => (None, *id),
            Named::Both(name, id) => (Some(name.clone()), *id),
            Named::Neither => (None, TopicId::ZERO),
        }
    }
}

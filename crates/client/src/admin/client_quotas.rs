use super::{Admin, item};
use crate::error::{ClientError, Result};
use ottla_protocol::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData as AlteredEntity, EntryData as AlteredEntry, OpData,
};
use ottla_protocol::messages::describe_client_quotas_request::{ComponentData, DescribeClientQuotasRequest};
use std::collections::BTreeMap;

/// Whom a quota is for: by entity type (`user`, `client-id`, `ip`) the name; `None` is the default of that type.
pub type QuotaEntity = BTreeMap<String, Option<String>>;

/// The quotas of one entity, by name.
pub type QuotaValues = BTreeMap<String, f64>;

/// Which names of one entity type are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaMatch {
    /// This name.
    Exact(String),
    /// The default.
    Default,
    /// Any name and the default.
    Any,
}

/// One entity type of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaFilter {
    /// `user`, `client-id` or `ip`.
    pub entity_type: String,
    /// Which names.
    pub matches: QuotaMatch,
}

/// A change of one entity's quotas: by name the new value, `None` takes the quota away.
#[derive(Clone, Debug)]
pub struct QuotaAlteration {
    /// Whom it is for.
    pub entity: QuotaEntity,
    /// The quotas that change.
    pub values: BTreeMap<String, Option<f64>>,
}

impl Admin {
    /// The quotas of the entities that have exactly the types of the filters.
    ///
    /// # Errors
    /// No answer could be had, or the server refused the search.
    pub async fn describe_client_quotas(&self, filters: &[QuotaFilter]) -> Result<Vec<(QuotaEntity, QuotaValues)>> {
        let component = |filter: &QuotaFilter| {
            let (match_type, name) = match &filter.matches {
                QuotaMatch::Exact(name) => (0, Some(name.clone())),
                QuotaMatch::Default => (1, None),
                QuotaMatch::Any => (2, None),
            };
            let entity_type = filter.entity_type.clone();
            ComponentData { entity_type, match_type, match_: name, ..Default::default() }
        };
        let request = DescribeClientQuotasRequest {
            components: filters.iter().map(component).collect(),
            strict: true,
            ..Default::default()
        };
        let entries = self
            .at_any(&request, |response| match ClientError::of(response.error_code, response.error_message) {
                Some(error) => Err(error),
                None => Ok(response.entries.unwrap_or_default()),
            })
            .await?;
        let described = entries.into_iter().map(|entry| {
            let entity = entry.entity.into_iter().map(|part| (part.entity_type, part.entity_name)).collect();
            let values = entry.values.into_iter().map(|value| (value.key, value.value)).collect();
            (entity, values)
        });
        Ok(described.collect())
    }

    /// Changes the quotas of one entity.
    ///
    /// # Errors
    /// No answer could be had, or the server refused the change.
    pub async fn alter_client_quotas(&self, alteration: &QuotaAlteration) -> Result<()> {
        let part = |(kind, name): (&String, &Option<String>)| AlteredEntity {
            entity_type: kind.clone(),
            entity_name: name.clone(),
            ..Default::default()
        };
        let operation = |(key, value): (&String, &Option<f64>)| OpData {
            key: key.clone(),
            value: value.unwrap_or_default(),
            remove: value.is_none(),
            ..Default::default()
        };
        let entry = AlteredEntry {
            entity: alteration.entity.iter().map(part).collect(),
            ops: alteration.values.iter().map(operation).collect(),
            ..Default::default()
        };
        let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false, ..Default::default() };
        self.at_any(&request, |response| {
            response.entries.into_iter().try_for_each(|entry| item(entry.error_code, entry.error_message))
        })
        .await
    }
}

//! Client quotas: who may use how much (KIP-546, KIP-612, KIP-599).

use crate::outcome::{RECORDS_MAX, TOO_MANY_RECORDS};
use crate::{ApiError, Controller, Outcome};
use ottla_metadata::{QuotaEntity, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_client_quotas_request::EntryData;
use ottla_protocol::messages::alter_client_quotas_response as response;
use ottla_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};
use ottla_protocol::metadata_records::client_quota_record::EntityData;
use ottla_protocol::metadata_records::{ClientQuotaRecord, MetadataRecord};
use std::collections::BTreeMap;

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

/// What kind of number a quota is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Double,
    Int,
    Long,
}

const OF_USERS_AND_CLIENTS: [(&str, Kind); 4] = [
    ("producer_byte_rate", Kind::Long),
    ("consumer_byte_rate", Kind::Long),
    ("request_percentage", Kind::Double),
    ("controller_mutation_rate", Kind::Double),
];
const OF_ADDRESSES: [(&str, Kind); 1] = [("connection_creation_rate", Kind::Int)];

/// So far from a whole number a quota of bytes may be: what a client's arithmetic leaves.
const FRACTION_MAX: f64 = 1e-6;

impl Controller {
    /// AlterClientQuotas: each entity for itself is changed as a whole or not at all. `names_an_address` says whether the name
    /// of an entity of type `ip` is an address, or a host's that has one.
    pub fn alter_client_quotas(
        &mut self,
        request: &AlterClientQuotasRequest,
        names_an_address: &dyn Fn(&str) -> bool,
    ) -> Outcome<AlterClientQuotasResponse> {
        let mut records = Vec::new();
        let mut results: BTreeMap<QuotaEntity, Result<(), ApiError>> = BTreeMap::new();
        for entry in &request.entries {
            let entity = entity(entry);
            let result = if results.contains_key(&entity) {
                invalid(format!("Ignoring duplicate entity {}", in_words(&entity)))
            } else {
                self.alter_entity(&entity, entry, names_an_address).map(|changes| records.extend(changes))
            };
            results.insert(entity, result);
        }
        if records.len() > RECORDS_MAX {
            results.values_mut().for_each(|result| {
                *result = Err(ApiError::new(ErrorCode::PolicyViolation, TOO_MANY_RECORDS));
            });
            records.clear();
        }
        if request.validate_only {
            records.clear();
        }
        let entries = results.into_iter().map(|(entity, result)| {
            let (error_code, error_message) = ApiError::parts(result);
            let parts = entity.0.into_iter().map(|(entity_type, entity_name)| response::EntityData {
                entity_type,
                entity_name,
                ..Default::default()
            });
            response::EntryData { error_code, error_message, entity: parts.collect(), ..Default::default() }
        });
        Outcome::atomic(records, AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() })
    }

    fn alter_entity(
        &self,
        entity: &QuotaEntity,
        entry: &EntryData,
        names_an_address: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<VersionedRecord>, ApiError> {
        let mut wanted: BTreeMap<&str, Option<f64>> = BTreeMap::new();
        for op in &entry.ops {
            if wanted.insert(&op.key, (!op.remove).then_some(op.value)).is_some() {
                return invalid(format!("Duplicate quota key {} not updating quota for this entity", op.key));
            }
        }
        let keys = keys_of(entity, names_an_address)?;
        let current = self.image.quotas.entities.get(entity);
        let mut records = Vec::new();
        for (key, value) in wanted {
            let before = current.and_then(|quotas| quotas.get(key)).copied();
            if let Some(value) = value {
                check(keys, key, value)?;
            }
            if before != value {
                records.push(record(entity, key, value));
            }
        }
        Ok(records)
    }
}

fn entity(entry: &EntryData) -> QuotaEntity {
    QuotaEntity(entry.entity.iter().map(|part| (part.entity_type.clone(), part.entity_name.clone())).collect())
}

fn in_words(entity: &QuotaEntity) -> String {
    let part = |(kind, name): (&String, &Option<String>)| format!("{kind} {}", name.as_deref().unwrap_or("(default)"));
    entity.0.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn invalid<T>(message: String) -> Result<T, ApiError> {
    Err(ApiError::new(ErrorCode::InvalidRequest, message))
}

/// The quotas that an entity can have.
fn keys_of(
    entity: &QuotaEntity,
    names_an_address: &dyn Fn(&str) -> bool,
) -> Result<&'static [(&'static str, Kind)], ApiError> {
    if entity.0.is_empty() {
        return invalid("Invalid empty client quota entity".to_owned());
    }
    for (kind, name) in &entity.0 {
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return invalid(format!("Unhandled client quota entity type: {kind}"));
        }
        if name.as_deref() == Some("") {
            return invalid(format!("Empty {kind} not supported"));
        }
    }
    match entity.0.get(IP) {
        None => Ok(&OF_USERS_AND_CLIENTS),
        Some(_) if entity.0.len() > 1 => invalid(
            "Invalid quota entity combination, IP entity should not be combined with User or ClientId".to_owned(),
        ),
        Some(Some(address)) if !names_an_address(address) => {
            invalid(format!("{address} is not a valid IP or resolvable host."))
        }
        Some(_) => Ok(&OF_ADDRESSES),
    }
}

fn check(keys: &[(&str, Kind)], key: &str, value: f64) -> Result<(), ApiError> {
    let Some((_, kind)) = keys.iter().find(|(name, _)| *name == key) else {
        return invalid(format!("Invalid configuration key {key}"));
    };
    if value <= 0.0 {
        return invalid(format!("Quota {key} must be greater than 0"));
    }
    let (max, name) = match kind {
        Kind::Double => return Ok(()),
        Kind::Int => (f64::from(i32::MAX), "an INT"),
        Kind::Long => (i64::MAX as f64, "a LONG"),
    };
    if value > max {
        return invalid(format!("Proposed value for {key} is too large for {name}."));
    }
    if (value % 1.0).abs() > FRACTION_MAX {
        return invalid(format!("{key} cannot be a fractional value."));
    }
    Ok(())
}

fn record(entity: &QuotaEntity, key: &str, value: Option<f64>) -> VersionedRecord {
    let part = |(kind, name): (&String, &Option<String>)| EntityData {
        entity_type: kind.clone(),
        entity_name: name.clone(),
        ..Default::default()
    };
    MetadataRecord::ClientQuota(ClientQuotaRecord {
        entity: entity.0.iter().map(part).collect(),
        key: key.to_owned(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
        ..Default::default()
    })
    .into()
}

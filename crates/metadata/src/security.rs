use crate::OrderedMap;
use ottla_protocol::metadata_records::{
    AccessControlEntryRecord, ClientQuotaRecord, DelegationTokenRecord, UserScramCredentialRecord,
};
use ottla_types::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whom a quota is for: entity types (`user`, `client-id`, `ip`) with names; no name is the default of that type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct QuotaEntity(pub BTreeMap<String, Option<String>>);

impl QuotaEntity {
    pub(crate) fn of(record: &ClientQuotaRecord) -> Self {
        Self(record.entity.iter().map(|part| (part.entity_type.clone(), part.entity_name.clone())).collect())
    }
}

/// All client quotas.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct QuotasImage {
    /// Key (`producer_byte_rate` and so on) and value by entity; no entity is present without a key.
    pub entities: OrderedMap<QuotaEntity, Arc<BTreeMap<String, f64>>>,
}

impl QuotasImage {
    /// Sets or, with `None`, removes one quota.
    pub(crate) fn set(&mut self, entity: &QuotaEntity, key: &str, value: Option<f64>) {
        let mut quotas = self.entities.get(entity).cloned().unwrap_or_default();
        match value {
            Some(value) => Arc::make_mut(&mut quotas).insert(key.to_owned(), value),
            None => Arc::make_mut(&mut quotas).remove(key),
        };
        if quotas.is_empty() {
            self.entities.remove(entity);
        } else {
            self.entities.insert(entity.clone(), quotas);
        }
    }
}

/// All access control entries, as their records.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AclsImage {
    /// By the entry's id.
    pub entries: OrderedMap<Uuid, Arc<AccessControlEntryRecord>>,
}

/// All SCRAM credentials, as their records.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ScramImage {
    /// By mechanism (1 SHA-256, 2 SHA-512) and user.
    pub credentials: OrderedMap<(i8, String), Arc<UserScramCredentialRecord>>,
}

/// All delegation tokens, as their records.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TokensImage {
    /// By the token's id.
    pub tokens: OrderedMap<String, Arc<DelegationTokenRecord>>,
}

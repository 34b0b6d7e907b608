use crate::broker::Broker;
use crate::call::Call;
use ottla_metadata::{MetadataImage, QuotaEntity};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_client_quotas_request::ComponentData;
use ottla_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use ottla_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};
use std::collections::BTreeMap;
use std::sync::Arc;

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

/// DescribeClientQuotas: the quotas of the entities that a filter lets through (KIP-546).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<DescribeClientQuotasRequest>() else { return };
    let response = match filter(&request) {
        Ok(filter) => DescribeClientQuotasResponse {
            entries: Some(entries(&broker.metadata.image(), &filter, request.strict)),
            // Kafka's answer has a sentence here, an empty one.
            error_message: Some(String::new()),
            ..Default::default()
        },
        Err((code, message)) => DescribeClientQuotasResponse {
            error_code: code.code(),
            error_message: Some(message),
            entries: None,
            ..Default::default()
        },
    };
    reply.send(&response);
}

/// What an entity must have of a type: any name, or the one given, where none means the default.
enum Wanted<'a> {
    Any,
    Name(Option<&'a str>),
}

fn filter(request: &DescribeClientQuotasRequest) -> Result<BTreeMap<&str, Wanted<'_>>, (ErrorCode, String)> {
    let invalid = |message: String| (ErrorCode::InvalidRequest, message);
    let mut filter = BTreeMap::new();
    for component in &request.components {
        let kind = component.entity_type.as_str();
        if kind.is_empty() {
            return Err(invalid("Invalid empty entity type.".to_owned()));
        }
        if filter.contains_key(kind) {
            return Err(invalid(format!("Entity type {kind} cannot appear more than once in the filter.")));
        }
        if !["user", "client-id", "ip"].contains(&kind) {
            return Err((ErrorCode::UnsupportedVersion, format!("Unsupported entity type {kind}")));
        }
        filter.insert(kind, wanted(component).map_err(invalid)?);
    }
    if filter.contains_key("ip") && filter.len() > 1 {
        return Err(invalid("A filter of addresses can't be one of users or clients too.".to_owned()));
    }
    Ok(filter)
}

fn wanted(component: &ComponentData) -> Result<Wanted<'_>, String> {
    match (component.match_type, component.match_.as_deref()) {
        (EXACT, Some(name)) => Ok(Wanted::Name(Some(name))),
        (EXACT, None) => Err("An exact match needs a name to match.".to_owned()),
        (DEFAULT, None) => Ok(Wanted::Name(None)),
        (SPECIFIED, None) => Ok(Wanted::Any),
        (DEFAULT | SPECIFIED, Some(_)) => Err("A match of the default or of any name can't have a name.".to_owned()),
        (other, _) => Err(format!("Unknown match type {other}")),
    }
}

fn entries(image: &MetadataImage, filter: &BTreeMap<&str, Wanted<'_>>, strict: bool) -> Vec<EntryData> {
    let matches = |entity: &QuotaEntity| {
        (!strict || entity.0.len() == filter.len())
            && filter.iter().all(|(kind, wanted)| match (entity.0.get(*kind), wanted) {
                (None, _) => false,
                (Some(_), Wanted::Any) => true,
                (Some(name), Wanted::Name(wanted)) => name.as_deref() == *wanted,
            })
    };
    let found = image.quotas.entities.iter().filter(|(entity, _)| matches(entity));
    found.map(|(entity, values)| entry(entity, values)).collect()
}

fn entry(entity: &QuotaEntity, values: &BTreeMap<String, f64>) -> EntryData {
    let part = |(kind, name): (&String, &Option<String>)| EntityData {
        entity_type: kind.clone(),
        entity_name: name.clone(),
        ..Default::default()
    };
    let value = |(key, value): (&String, &f64)| ValueData { key: key.clone(), value: *value, ..Default::default() };
    EntryData {
        entity: entity.0.iter().map(part).collect(),
        values: values.iter().map(value).collect(),
        ..Default::default()
    }
}

use super::describe::{entries, kind, quota_filters, quota_type, singular};
use super::options::{Change, ConfigOptions};
use super::{ConfigError, scram};
use crate::console::Console;
use crate::java::{Sized, hash_order, string_hash};
use ottla_client::{Admin, ConfigChange, ConfigOperation, ConfigResource, QuotaAlteration, ResourceKind};
use std::collections::BTreeMap;

/// The quotas of users and clients, and of addresses.
const CLIENT_QUOTAS: [&str; 4] =
    ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
const IP_QUOTAS: [&str; 1] = ["connection_creation_rate"];

pub(super) async fn alter(
    admin: &Admin,
    options: &ConfigOptions,
    change: &Change,
    console: &mut Console,
) -> Result<(), ConfigError> {
    let (Some(entity), Some(name)) = (options.types.first(), options.names.first()) else { return Ok(()) };
    match kind(entity) {
        Some(kind) => alter_resource(admin, kind, name, change).await?,
        None => alter_quotas(admin, options, change).await?,
    }
    if name.is_empty() {
        console.line(&format!("Completed updating default config for {entity} in the cluster."));
    } else {
        console.line(&format!("Completed updating config for {} {name}.", singular(entity)));
    }
    Ok(())
}

async fn alter_resource(admin: &Admin, kind: ResourceKind, name: &str, change: &Change) -> Result<(), ConfigError> {
    if kind == ResourceKind::BrokerLogger {
        let known = entries(admin, kind, name, true, false).await?;
        let is_known = |logger: &&String| known.iter().any(|entry| entry.name == **logger);
        let unknown: Vec<_> =
            change.delete.iter().chain(change.set.keys()).filter(|logger| !is_known(logger)).cloned().collect();
        if !unknown.is_empty() {
            return Err(ConfigError::Argument(format!("Invalid broker logger(s): {}", unknown.join(","))));
        }
    }
    let set = |(key, value): (&String, &String)| ConfigChange {
        name: key.clone(),
        operation: ConfigOperation::Set,
        value: Some(value.clone()),
    };
    let delete = |key: &String| ConfigChange {
        name: key.clone(),
        operation: ConfigOperation::Delete,
        value: Some(String::new()),
    };
    let changes = change.set.iter().map(set).chain(change.delete.iter().map(delete)).collect();
    let resource = ConfigResource::new(kind, name);
    let altered = admin.alter_configs(&BTreeMap::from([(resource, changes)]), false).await?;
    Ok(altered.into_values().collect::<Result<(), _>>()?)
}

async fn alter_quotas(admin: &Admin, options: &ConfigOptions, change: &Change) -> Result<(), ConfigError> {
    let is_ip = options.types.iter().any(|entity| entity == "ips");
    let quotas: &[&str] = if is_ip { &IP_QUOTAS } else { &CLIENT_QUOTAS };
    let is_scram = |key: &str| options.types == ["users"] && scram::mechanism(key).is_some();
    let mut keys = change.set.keys().chain(&change.delete);
    let has_scram = keys.any(|key| is_scram(key));
    let unknown = |keys: &mut dyn Iterator<Item = &String>| {
        keys.filter(|key| !quotas.contains(&key.as_str()) && !is_scram(key)).cloned().collect::<Vec<_>>()
    };
    let (set, deleted) = (unknown(&mut change.set.keys()), unknown(&mut change.delete.iter()));
    if !set.is_empty() || !deleted.is_empty() {
        let (what, entity) = match options.types.as_slice() {
            [entity] if entity == "ips" => ("connection quota configs", "ips"),
            [entity] if entity == "users" => ("quota and SCRAM credential configs", "users"),
            _ => ("quota configs", "clients"),
        };
        let verb = if set.is_empty() && !is_ip { "deleted" } else { "added" };
        let mut wrong = if set.is_empty() { deleted } else { set };
        hash_order(&mut wrong, Sized::Default, |name| string_hash(name));
        return Err(ConfigError::Argument(format!(
            "Only {what} can be {verb} for '{entity}' using --bootstrap-server. Unexpected config names: {}",
            wrong.join(if is_ip { ", " } else { "," })
        )));
    }
    if has_scram {
        return scram::alter(admin, options, change).await;
    }
    let known = admin.describe_client_quotas(&quota_filters(options)).await?.into_iter().next();
    let known = known.map(|(_, values)| values).unwrap_or_default();
    let missing: Vec<_> = change.delete.iter().filter(|key| !known.contains_key(*key)).cloned().collect();
    if !missing.is_empty() {
        return Err(ConfigError::Argument(format!("Invalid config(s): {}", missing.join(","))));
    }
    let mut values = BTreeMap::new();
    for (key, text) in &change.set {
        let value = text
            .parse::<f64>()
            .map_err(|_| ConfigError::Argument(format!("Cannot parse quota configuration value for {key}: {text}")))?;
        values.insert(key.clone(), Some(value));
    }
    values.extend(change.delete.iter().map(|key| (key.clone(), None)));
    let part = |(entity, name): (&String, &String)| {
        (quota_type(entity).to_owned(), Some(name.clone()).filter(|name| !name.is_empty()))
    };
    let entity = options.types.iter().zip(&options.names).map(part).collect();
    Ok(admin.alter_client_quotas(&QuotaAlteration { entity, values }).await?)
}

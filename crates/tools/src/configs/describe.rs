use super::ConfigError;
use super::options::ConfigOptions;
use crate::console::Console;
use crate::java::{self, Sized};
use ottla_client::{
    Admin, ConfigEntry, ConfigResource, ConfigSource, ErrorCode, QuotaEntity, QuotaFilter, QuotaMatch, QuotaValues,
    ResourceKind,
};

/// The kind of thing that a type is; `None` for those that have quotas instead of a configuration.
pub(super) fn kind(entity: &str) -> Option<ResourceKind> {
    Some(match entity {
        "topics" => ResourceKind::Topic,
        "brokers" => ResourceKind::Broker,
        "broker-loggers" => ResourceKind::BrokerLogger,
        "client-metrics" => ResourceKind::ClientMetrics,
        "groups" => ResourceKind::Group,
        _ => return None,
    })
}

/// A type's name for one thing: `topics` of `topic`. Kafka takes the last letter away, whatever it is.
pub(super) fn singular(entity: &str) -> &str {
    entity.get(..entity.len().saturating_sub(1)).unwrap_or_default()
}

pub(super) async fn describe(admin: &Admin, options: &ConfigOptions, console: &mut Console) -> Result<(), ConfigError> {
    let Some(entity) = options.types.first() else { return Ok(()) };
    let Some(kind) = kind(entity) else { return describe_quotas(admin, options, console).await };
    let names = match options.names.first() {
        Some(name) if !name.is_empty() && !exists(admin, kind, name).await? => {
            let one = singular(entity);
            console.line(&format!("The {one} '{name}' doesn't exist and doesn't have dynamic config."));
            return Ok(());
        }
        Some(name) => vec![name.clone()],
        None => all_names(admin, kind).await?,
    };
    for name in names {
        if name.is_empty() {
            console.line(&format!("Default configs for {entity} in the cluster are:"));
        } else {
            let which = if options.all { "All" } else { "Dynamic" };
            console.line(&format!("{which} configs for {} {name} are:", singular(entity)));
        }
        for entry in entries(admin, kind, &name, options.all, true).await? {
            console.line(&shown(&entry));
        }
    }
    Ok(())
}

async fn all_names(admin: &Admin, kind: ResourceKind) -> Result<Vec<String>, ConfigError> {
    let mut names: Vec<String> = match kind {
        ResourceKind::Topic => admin.list_topics().await?.into_keys().collect(),
        ResourceKind::Broker | ResourceKind::BrokerLogger => {
            let brokers = admin.describe_cluster().await?.brokers;
            let ids = brokers.iter().map(|broker| broker.id.value().to_string());
            return Ok(ids.chain([String::new()]).collect());
        }
        ResourceKind::ClientMetrics => admin.list_config_resources(kind).await?,
        ResourceKind::Group => {
            let mut groups: Vec<_> = admin.list_groups(&[], &[]).await?.0.into_iter().map(|g| g.group_id).collect();
            groups.extend(admin.list_config_resources(kind).await.unwrap_or_default());
            groups.sort();
            groups.dedup();
            groups
        }
    };
    java::hash_order(&mut names, Sized::Default, |name| java::string_hash(name));
    Ok(names)
}

/// Whether there is such a thing, or at least a configuration of it.
async fn exists(admin: &Admin, kind: ResourceKind, name: &str) -> Result<bool, ConfigError> {
    let has_config = async || match admin.list_config_resources(kind).await {
        Ok(names) => Ok(names.iter().any(|known| known == name)),
        // An older server can't tell; it is asked for the configuration itself.
        Err(error) if error.code().is_none() || error.is(ErrorCode::UnsupportedVersion) => Ok(true),
        Err(error) => Err(error),
    };
    Ok(match kind {
        ResourceKind::Topic => admin.list_topics().await?.contains_key(name),
        ResourceKind::Broker | ResourceKind::BrokerLogger => {
            let brokers = admin.describe_cluster().await?.brokers;
            brokers.iter().any(|broker| broker.id.value().to_string() == name) || has_config().await?
        }
        ResourceKind::ClientMetrics => has_config().await?,
        ResourceKind::Group => {
            let groups = admin.list_groups(&[], &[]).await?.0;
            groups.iter().any(|group| group.group_id == name) || has_config().await?
        }
    })
}

/// The settings of one thing, sorted by name: all, or those that are set while it runs.
pub(super) async fn entries(
    admin: &Admin,
    kind: ResourceKind,
    name: &str,
    all: bool,
    synonyms: bool,
) -> Result<Vec<ConfigEntry>, ConfigError> {
    let source = match kind {
        ResourceKind::Topic => Some(ConfigSource::DynamicTopic),
        ResourceKind::Broker if name.is_empty() => Some(ConfigSource::DynamicDefaultBroker),
        ResourceKind::Broker => Some(ConfigSource::DynamicBroker),
        ResourceKind::BrokerLogger => None,
        ResourceKind::ClientMetrics => Some(ConfigSource::DynamicClientMetrics),
        ResourceKind::Group => Some(ConfigSource::DynamicGroup),
    };
    let resource = ConfigResource::new(kind, name);
    let mut described = admin.describe_configs(std::slice::from_ref(&resource), synonyms).await?;
    let mut entries = described.remove(&resource).transpose()?.unwrap_or_default();
    entries.retain(|entry| all || source.is_none_or(|source| entry.source == source));
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn shown(entry: &ConfigEntry) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonym = |synonym: &ottla_client::ConfigSynonym| {
        format!("{}:{}={}", synonym.source.name(), synonym.name, value(&synonym.value))
    };
    let synonyms: Vec<_> = entry.synonyms.iter().map(synonym).collect();
    let (name, is_sensitive) = (&entry.name, entry.is_sensitive);
    format!("  {name}={} sensitive={is_sensitive} synonyms={{{}}}", value(&entry.value), synonyms.join(", "))
}

/// What Kafka's requests call an entity type.
pub(super) fn quota_type(entity: &str) -> &'static str {
    match entity {
        "users" => "user",
        "clients" => "client-id",
        _ => "ip",
    }
}

/// Which quotas the arguments name.
pub(super) fn quota_filters(options: &ConfigOptions) -> Vec<QuotaFilter> {
    let filter = |(index, entity): (usize, &String)| QuotaFilter {
        entity_type: quota_type(entity).to_owned(),
        matches: match options.names.get(index) {
            None => QuotaMatch::Any,
            Some(name) if name.is_empty() => QuotaMatch::Default,
            Some(name) => QuotaMatch::Exact(name.clone()),
        },
    };
    options.types.iter().enumerate().map(filter).collect()
}

async fn describe_quotas(admin: &Admin, options: &ConfigOptions, console: &mut Console) -> Result<(), ConfigError> {
    if options.names.len() > options.types.len() {
        return Err(ConfigError::Argument("More entity names specified than entity types".to_owned()));
    }
    for (entity, values) in admin.describe_client_quotas(&quota_filters(options)).await? {
        console.line(&format!("Quota configs for {} are {}", quota_entity(&entity), quota_values(&values)));
    }
    let is_users_only = options.types.iter().all(|entity| entity == "users");
    if is_users_only && !options.names.iter().any(String::is_empty) {
        for (user, credentials) in admin.describe_scram_credentials(&options.names).await? {
            let credentials = match credentials {
                Ok(credentials) => credentials,
                Err(error) => {
                    let class = java::exception_class(&error);
                    let class = class.rsplit('.').next().unwrap_or_default();
                    console.line(&format!(
                        "Error retrieving SCRAM credential configs for user-principal '{user}': {class}: {error}"
                    ));
                    continue;
                }
            };
            let shown = credentials.iter().map(|c| format!("{}=iterations={}", c.mechanism.name(), c.iterations));
            let shown = shown.collect::<Vec<_>>().join(", ");
            console.line(&format!("SCRAM credential configs for user-principal '{user}' are {shown}"));
        }
    }
    Ok(())
}

fn quota_entity(entity: &QuotaEntity) -> String {
    let part = |kind: &str, shown: &str| {
        let name = entity.get(kind)?;
        Some(name.as_ref().map_or_else(|| format!("the default {shown}"), |name| format!("{shown} '{name}'")))
    };
    let parts = [part("user", "user-principal"), part("client-id", "client-id"), part("ip", "ip")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn quota_values(values: &QuotaValues) -> String {
    let mut values: Vec<_> = values.iter().collect();
    java::hash_order(&mut values, Sized::ToFit, |(key, _)| java::string_hash(key));
    values.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join(", ")
}

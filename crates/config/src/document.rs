//! The page `docs/configuration.md`, made from the declarations.

use crate::key::{ConfigKey, DefaultValue, Scope};
use crate::keys;
use crate::reasons::why_not_obeyed;
use core::fmt::Write as _;

/// The whole page.
pub fn configuration_page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Made from the declarations in `crates/config/src/keys`; do not edit. The keys, their types, defaults and allowed \
         values are those of Apache Kafka, but for the keys that begin with `ottla.`, which have a section of their own. The last section has the keys that are known and checked but have no effect, and \
         says why; where a file sets such a key, one line at start-up names it.\n",
    );
    for (title, keys) in keys::broker_sections() {
        section(&mut page, &format!("{title} (server.properties)"), keys);
    }
    section(&mut page, "Ottla's own: not in Apache Kafka (server.properties)", keys::OWN);
    section(&mut page, "Topics", keys::TOPIC);
    section(&mut page, "Groups", keys::GROUP);
    section(&mut page, "Client metrics", keys::CLIENT_METRICS);
    section(&mut page, "Brokers, at run time only", keys::BROKER_QUOTA);
    let known = keys::broker().count();
    let obeyed = keys::broker().filter(|key| key.obeyed).count();
    let topic_obeyed = keys::TOPIC.iter().filter(|key| key.obeyed).count();
    // Writing to a string cannot fail.
    let _ = writeln!(
        page,
        "\nObeyed so far: {obeyed} of {known} server keys, {topic_obeyed} of {} topic keys.",
        keys::TOPIC.len()
    );
    without_effect(&mut page);
    page
}

fn without_effect(page: &mut String) {
    let _ = writeln!(page, "\n## Keys without effect\n\n| where | key | type | default | why |\n|---|---|---|---|---|");
    let sections: [(&str, Vec<&ConfigKey>); 5] = [
        ("server", keys::broker().collect()),
        ("topic", keys::TOPIC.iter().collect()),
        ("group", keys::GROUP.iter().collect()),
        ("client metrics", keys::CLIENT_METRICS.iter().collect()),
        ("quota", keys::BROKER_QUOTA.iter().chain(keys::USER_CLIENT_QUOTA).chain(keys::IP_QUOTA).collect()),
    ];
    for (place, mut keys) in sections {
        keys.retain(|key| !key.obeyed && !key.internal);
        keys.sort_by_key(|key| key.name);
        keys.dedup_by_key(|key| key.name);
        for key in keys {
            let (kind, default, why) = (key.config_type.name().to_lowercase(), default_of(key), why_not_obeyed(key));
            let _ = writeln!(page, "| {place} | `{}` | {kind} | {default} | {why} |", key.name);
        }
    }
}

fn default_of(key: &ConfigKey) -> String {
    match key.default {
        DefaultValue::Required => "(none, required)".to_owned(),
        DefaultValue::Null => "(unset)".to_owned(),
        DefaultValue::Of("") => "(empty)".to_owned(),
        DefaultValue::Of(text) => format!("`{text}`"),
    }
}

fn section(page: &mut String, title: &str, keys: &[ConfigKey]) {
    let obeyed: Vec<_> = keys.iter().filter(|key| key.obeyed && !key.internal).collect();
    if obeyed.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "\n## {title}\n\n| key | type | default | allowed | changes | meaning |\n|---|---|---|---|---|---|"
    );
    for key in obeyed {
        let default = default_of(key);
        // Whatever is no server's key is set at run time only.
        let is_fixed = keys::find(Scope::Broker, key.name).is_some_and(|key| !key.is_dynamic());
        let changes = if is_fixed && key.server_synonyms.is_empty() { "at a restart" } else { "at run time" };
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {} | {changes} | {} |",
            key.name,
            key.config_type.name().to_lowercase(),
            key.check.allowed(),
            key.description,
        );
    }
}

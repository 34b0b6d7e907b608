//! The page `docs/configuration.md`, made from the declarations.

use crate::key::{ConfigKey, DefaultValue};
use crate::keys;
use core::fmt::Write as _;

/// The whole page.
pub fn configuration_page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Made from the declarations in `crates/config/src/keys`; do not edit. The keys, their types, defaults and allowed \
         values are those of Apache Kafka. A key that is not in this page but in Kafka's is accepted and named in one line \
         at start-up: it has no effect yet.\n",
    );
    for (title, keys) in keys::broker_sections() {
        section(&mut page, &format!("{title} (server.properties)"), keys);
    }
    section(&mut page, "Topics", keys::TOPIC);
    section(&mut page, "Groups", keys::GROUP);
    let known = keys::broker().count();
    let obeyed = keys::broker().filter(|key| key.obeyed).count();
    let topic_obeyed = keys::TOPIC.iter().filter(|key| key.obeyed).count();
    // Writing to a string cannot fail.
    let _ = writeln!(
        page,
        "\nObeyed so far: {obeyed} of {known} server keys, {topic_obeyed} of {} topic keys.",
        keys::TOPIC.len()
    );
    page
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
        let default = match key.default {
            DefaultValue::Required => "(none, required)".to_owned(),
            DefaultValue::Null => "(unset)".to_owned(),
            DefaultValue::Of("") => "(empty)".to_owned(),
            DefaultValue::Of(text) => format!("`{text}`"),
        };
        let changes = if key.server_synonyms.is_empty() && !key.is_dynamic() { "at a restart" } else { "at run time" };
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

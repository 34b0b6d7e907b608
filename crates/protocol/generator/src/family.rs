//! What gathers messages: the module of a family, the enum of its records, the API keys, the list of all.

use crate::Families;
use crate::model::{Kind, Message};
use crate::names;
use crate::source::Source;

/// The module of one family.
pub(crate) fn module(family: &str, messages: &[Message]) -> String {
    let mut out = Source::default();
    for message in messages {
        let module = names::snake(&message.name);
        out.line(format!("/// The structs of [`{}`].", message.name));
        out.line(format!("pub mod {module} {{"));
        out.line(format!("include!(concat!(env!(\"OUT_DIR\"), \"/{family}/{module}.rs\"));"));
        out.line("}");
        out.line(format!("pub use {module}::{{{0}, {0}View}};", message.name));
    }
    match family {
        "metadata_records" => framed(&mut out, "MetadataRecord", messages),
        "storage_records" => framed(&mut out, "RemoteLogMetadataRecord", messages),
        "group_records" => keyed(&mut out, "Group", messages),
        "transaction_records" => keyed(&mut out, "Transaction", messages),
        "share_records" => keyed(&mut out, "Share", messages),
        _ => {}
    }
    out.finish()
}

fn framed(out: &mut Source, name: &str, messages: &[Message]) {
    let mut records: Vec<&Message> = messages.iter().filter(|message| message.kind == Kind::Record).collect();
    records.sort_by_key(|message| message.api);
    out.line("crate::frames::framed_records! {");
    out.line(format!("{name} {{"));
    for message in records {
        let variant = message.name.strip_suffix("Record").unwrap_or(&message.name);
        let variant =
            if name == "MetadataRecord" { variant } else { variant.strip_suffix("Metadata").unwrap_or(variant) };
        out.line(format!("{} => {variant}({}),", message.api.unwrap_or_default(), message.name));
    }
    out.line("}");
    out.line("}");
}

fn keyed(out: &mut Source, name: &str, messages: &[Message]) {
    for (kind, suffix, list) in [(Kind::Key, "Key", "coordinator_keys"), (Kind::Value, "Value", "coordinator_values")] {
        let mut entries: Vec<&Message> = messages.iter().filter(|message| message.kind == kind).collect();
        entries.sort_by_key(|message| message.api);
        out.line(format!("crate::frames::{list}! {{"));
        out.line(format!("{name}{suffix} {{"));
        for message in entries {
            let variant = message.name.strip_suffix(suffix).unwrap_or(&message.name);
            out.line(format!("{} => {variant}({}),", message.api.unwrap_or_default(), message.name));
        }
        out.line("}");
        out.line("}");
    }
}

/// The enum of all API keys.
pub(crate) fn api_keys(families: &Families) -> String {
    let mut requests: Vec<&Message> = families.values().flatten().filter(|m| m.kind == Kind::Request).collect();
    requests.sort_by_key(|message| message.api);
    let mut out = Source::default();
    out.line("api_keys! {");
    for message in requests {
        let base = message.name.strip_suffix("Request").unwrap_or(&message.name);
        let (low, high) = (message.versions.low, message.versions.high);
        let stable = message.unstable.map_or(high, |unstable| unstable - 1);
        let flexible = message.flexible.unwrap_or(i16::MAX);
        let on = |listener: &str| message.listeners.iter().any(|l| l == listener);
        let (broker, controller) = (on("broker"), on("controller"));
        out.line(format!(
            "{base} = {}, {low}, {stable}, {high}, {flexible}, {broker}, {controller}, {};",
            message.api.unwrap_or_default(),
            names::snake(base)
        ));
    }
    out.line("}");
    out.finish()
}

/// The list of all messages with their decoders.
pub(crate) fn registry(families: &Families) -> String {
    let mut out = Source::default();
    out.line("/// Every message, by family and then by name of its schema file.");
    out.line("pub static ALL: &[Codec] = &[");
    for (family, messages) in families {
        for message in messages {
            out.line(format!("Codec::of::<crate::{family}::{}>(\"{family}\"),", message.name));
        }
    }
    out.line("];");
    out.finish()
}

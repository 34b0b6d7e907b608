//! The owned struct of each message, its default, and its place among the messages.

use crate::model::{Kind, Message, Struct};
use crate::names;
use crate::rust_type;
use crate::source::Source;

/// Writes one owned struct and its default.
pub(crate) fn structure(out: &mut Source, message: &Message, structure: &Struct) {
    let flexible = message.is_flexible(structure);
    let derived = structure.fields.iter().all(|field| rust_type::owned_default(field).1);
    out.line("");
    out.line(struct_doc(message, structure));
    out.line(if derived {
        "#[derive(Clone, Debug, PartialEq, Default)]"
    } else {
        "#[derive(Clone, Debug, PartialEq)]"
    });
    out.line(format!("pub struct {} {{", structure.name));
    for field in &structure.fields {
        out.line(format!("/// {}", rust_type::field_doc(message, structure, field)));
        out.line(format!("pub {}: {},", names::field(&field.name), rust_type::owned(field)));
    }
    if flexible {
        out.line("/// Tagged fields that this release does not know, in ascending order of their tags.");
        out.line("pub unknown_tagged_fields: Vec<RawTaggedField>,");
    }
    out.line("}");
    if derived {
        return;
    }
    out.line(format!("impl Default for {} {{", structure.name));
    out.line("fn default() -> Self {");
    out.line("Self {");
    for field in &structure.fields {
        out.line(format!("{}: {},", names::field(&field.name), rust_type::owned_default(field).0));
    }
    if flexible {
        out.line("unknown_tagged_fields: Vec::new(),");
    }
    out.line("}");
    out.line("}");
    out.line("}");
}

fn struct_doc(message: &Message, structure: &Struct) -> String {
    let (low, high) = (message.versions.low, message.versions.high);
    if structure.name != message.name {
        return format!("/// `{}` of [`{}`].", structure.name, message.name);
    }
    let what = match message.kind {
        Kind::Request => "Request",
        Kind::Response => "Response",
        Kind::Header => "Header",
        Kind::Data => "Data",
        Kind::Record => "Record",
        Kind::Key => "Key",
        Kind::Value => "Value",
    };
    match message.unstable {
        Some(unstable) => {
            format!("/// {what} `{}`, versions {low} to {high}; {unstable} is not stable yet.", message.name)
        }
        None => format!("/// {what} `{}`, versions {low} to {high}.", message.name),
    }
}

/// Writes the message's implementations of `Message` and `Request`.
pub(crate) fn message(out: &mut Source, message: &Message) {
    let name = &message.name;
    let flexible = match message.flexible {
        Some(low) => format!("VersionRange::new({low}, {})", message.versions.high),
        None => "VersionRange::NONE".into(),
    };
    out.line("");
    out.line(format!("impl Message for {name} {{"));
    out.line(format!("const NAME: &'static str = \"{name}\";"));
    out.line(format!(
        "const VERSIONS: VersionRange = VersionRange::new({}, {});",
        message.versions.low, message.versions.high
    ));
    out.line(format!("const FLEXIBLE_VERSIONS: VersionRange = {flexible};"));
    out.line(format!("type View<'a> = {name}View<'a>;"));
    out.line("const SCHEMA: &'static MessageSchema = &SCHEMA;");
    out.line("}");
    out.line(format!("impl Encode for {name} {{"));
    out.line("fn message_schema(&self) -> &'static MessageSchema { &SCHEMA }");
    out.line("fn count(&self, to: &mut Counter) -> Result<(), EncodeFault> { self.put(to) }");
    out.line("fn write(&self, to: &mut Writer) -> Result<(), EncodeFault> { self.put(to) }");
    out.line("}");
    if let (Kind::Request, Some(base)) = (message.kind, name.strip_suffix("Request")) {
        out.line(format!("impl Request for {name} {{"));
        out.line(format!("const API_KEY: ApiKey = ApiKey::{base};"));
        out.line(format!("type Response = crate::messages::{base}Response;"));
        out.line("}");
    }
}

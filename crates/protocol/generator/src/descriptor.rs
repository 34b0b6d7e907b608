//! The message as data at run time: for JSON, for error paths, for tests.

use crate::model::{Field, Kind, Message, Span, Struct, Type};
use crate::names;
use crate::source::Source;

/// Writes the message's `SCHEMA`.
pub(crate) fn message(out: &mut Source, message: &Message) {
    out.line("");
    out.line(format!("/// [`{}`] as data.", message.name));
    out.line("pub static SCHEMA: MessageSchema = MessageSchema {");
    out.line(format!("name: \"{}\",", message.name));
    let kind = match message.kind {
        Kind::Request => "Request",
        Kind::Response => "Response",
        Kind::Header => "Header",
        Kind::Data => "Data",
        Kind::Record => "Record",
        Kind::Key => "Key",
        Kind::Value => "Value",
    };
    out.line(format!("kind: MessageKind::{kind},"));
    out.line(format!("api: {:?},", message.api));
    out.line(format!("versions: {},", range(Some(message.versions))));
    let flexible = message.flexible.map(|low| Span { low, high: message.versions.high });
    out.line(format!("flexible: {},", range(flexible)));
    let unstable = message.unstable.map(|low| Span { low, high: message.versions.high });
    out.line(format!("unstable: {},", range(unstable)));
    out.line(format!("structure: &{},", constant(&message.name)));
    out.line("};");
    for structure in &message.structs {
        structure_schema(out, structure);
    }
}

fn structure_schema(out: &mut Source, structure: &Struct) {
    out.line(format!(
        "static {}: StructSchema = StructSchema {{ name: \"{}\", fields: &[",
        constant(&structure.name),
        structure.name
    ));
    for field in &structure.fields {
        out.line(field_schema(field));
    }
    out.line("] };");
}

fn field_schema(field: &Field) -> String {
    let default = match field.default.as_deref() {
        None => "Default::Zero".into(),
        Some("null") => "Default::Null".into(),
        Some("true") => "Default::Number(1)".into(),
        Some(number) => format!("Default::Number({number})"),
    };
    format!(
        "FieldSchema {{ name: \"{}\", kind: {}, versions: {}, nullable: {}, tag: {}, tagged: {}, default: {}, ignorable: {}, legacy: {} }},",
        names::camel(&field.name),
        type_schema(&field.kind),
        range(Some(field.span)),
        range(field.nullable),
        field.tag.map_or(0, |(tag, _)| tag),
        range(field.tag.map(|(_, span)| span)),
        default.replace("Default::", "DefaultValue::"),
        field.ignorable,
        field.legacy,
    )
}

fn type_schema(kind: &Type) -> String {
    match kind {
        Type::Bool => "FieldType::Bool".into(),
        Type::I8 => "FieldType::I8".into(),
        Type::I16 => "FieldType::I16".into(),
        Type::U16 => "FieldType::U16".into(),
        Type::I32 => "FieldType::I32".into(),
        Type::U32 => "FieldType::U32".into(),
        Type::I64 => "FieldType::I64".into(),
        Type::F64 => "FieldType::F64".into(),
        Type::String => "FieldType::String".into(),
        Type::Bytes => "FieldType::Bytes".into(),
        Type::Records => "FieldType::Records".into(),
        Type::Uuid => "FieldType::Uuid".into(),
        Type::Struct(name) => format!("FieldType::Struct(&{})", constant(name)),
        Type::Array(inner) => format!("FieldType::Array(&{})", type_schema(inner)),
    }
}

fn range(span: Option<Span>) -> String {
    match span {
        Some(span) => format!("VersionRange::new({}, {})", span.low, span.high),
        None => "VersionRange::NONE".into(),
    }
}

fn constant(name: &str) -> String {
    format!("{}_STRUCT", names::snake(name).to_ascii_uppercase())
}

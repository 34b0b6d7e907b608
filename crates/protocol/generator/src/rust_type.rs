//! The Rust types, defaults and conditions of fields.

use crate::model::{Field, Message, Span, Struct, Type};
use crate::names;

/// The type of a field's owned form.
pub(crate) fn owned(field: &Field) -> String {
    if field.kind == Type::Records {
        return "RecordSet".into();
    }
    optional(field, owned_type(&field.kind))
}

fn owned_type(kind: &Type) -> String {
    match kind {
        Type::String => "String".into(),
        Type::Bytes | Type::Records => "Bytes".into(),
        Type::Struct(name) => name.clone(),
        Type::Array(inner) => format!("Vec<{}>", owned_type(inner)),
        plain => plain_type(plain).into(),
    }
}

/// The type of a field's borrowed form.
pub(crate) fn view(field: &Field) -> String {
    optional(field, view_type(&field.kind))
}

/// The borrowed form of a type, without regard to null.
pub(crate) fn view_type(kind: &Type) -> String {
    match kind {
        Type::String => "&'a str".into(),
        Type::Bytes | Type::Records => "&'a [u8]".into(),
        Type::Struct(name) => format!("{name}View<'a>"),
        Type::Array(inner) => format!("Array<'a, {}>", view_type(inner)),
        plain => plain_type(plain).into(),
    }
}

fn plain_type(kind: &Type) -> &'static str {
    match kind {
        Type::Bool => "bool",
        Type::I8 => "i8",
        Type::I16 => "i16",
        Type::U16 => "u16",
        Type::I32 => "i32",
        Type::U32 => "u32",
        Type::I64 => "i64",
        Type::F64 => "f64",
        _ => "Uuid",
    }
}

fn optional(field: &Field, kind: String) -> String {
    if field.nullable.is_some() { format!("Option<{kind}>") } else { kind }
}

fn is_null_by_default(field: &Field) -> bool {
    field.default.as_deref() == Some("null")
}

/// The default of a field's owned form, and whether it is that of Rust's `Default`.
pub(crate) fn owned_default(field: &Field) -> (String, bool) {
    if field.kind == Type::Records {
        return ("RecordSet::Null".into(), true);
    }
    if field.nullable.is_some() {
        return match is_null_by_default(field) {
            true => ("None".into(), true),
            false => ("Some(Default::default())".into(), false),
        };
    }
    match &field.default {
        Some(value) => (literal(field, value), false),
        None => ("Default::default()".into(), true),
    }
}

/// The default of a field's borrowed form, as a constant expression.
pub(crate) fn view_default(field: &Field) -> String {
    if field.nullable.is_some() && (is_null_by_default(field) || field.kind == Type::Records) {
        return "None".into();
    }
    let plain = match (&field.kind, &field.default) {
        (_, Some(value)) if value != "null" => literal(field, value),
        (kind, _) => format!("<{} as Element<'a>>::DEFAULT", view_type(kind)),
    };
    if field.nullable.is_some() { format!("Some({plain})") } else { plain }
}

fn literal(field: &Field, value: &str) -> String {
    if field.kind == Type::F64 && !value.contains('.') { format!("{value}.0") } else { value.into() }
}

/// An expression that is true when the owned field is not its default.
pub(crate) fn differs(field: &Field) -> String {
    let name = format!("self.{}", names::field(&field.name));
    match (&field.kind, field.nullable.is_some()) {
        (Type::Records, _) => format!("!{name}.is_null()"),
        (_, true) if is_null_by_default(field) => format!("{name}.is_some()"),
        (Type::Struct(_), true) => format!("{name} != Some(Default::default())"),
        (_, true) => format!("{name}.as_ref().is_none_or(|value| !value.is_empty())"),
        (Type::String | Type::Bytes | Type::Array(_), false) => format!("!{name}.is_empty()"),
        (Type::Struct(kind), false) => format!("{name} != {kind}::default()"),
        (Type::Uuid, false) => format!("{name} != Uuid::ZERO"),
        (Type::Bool, false) => match field.default.as_deref() {
            Some("true") => format!("!{name}"),
            _ => name,
        },
        (Type::F64, false) => format!("{name} != {}", literal(field, field.default.as_deref().unwrap_or("0"))),
        _ => format!("{name} != {}", field.default.as_deref().unwrap_or("0")),
    }
}

/// The condition under which the version is one of `span`, among those of `within`. `None` when it always is.
pub(crate) fn condition(on: &str, span: Span, within: Span) -> Option<String> {
    match (span.low > within.low, span.high < within.high) {
        (false, false) => None,
        (true, false) => Some(format!("{on}.since({})", span.low)),
        (false, true) => Some(format!("{on}.until({})", span.high)),
        (true, true) => Some(format!("{on}.within({}, {})", span.low, span.high)),
    }
}

/// What the field's documentation says: facts of the schema only.
pub(crate) fn field_doc(message: &Message, structure: &Struct, field: &Field) -> String {
    let mut words = vec![format!("`{}`", names::camel(&field.name))];
    if field.span != structure.span {
        words.push(versions("carried by", field.span, message));
    }
    if let Some(nullable) = field.nullable {
        words.push(if nullable == field.span {
            "may be null".into()
        } else {
            versions("may be null in", nullable, message)
        });
    }
    if let Some((tag, _)) = field.tag {
        words.push(format!("tag {tag}"));
    }
    if let Some(default) = &field.default {
        words.push(format!("default {default}"));
    }
    if let Some(entity) = &field.entity {
        words.push(format!("a `{entity}`"));
    }
    if field.map_key {
        words.push("part of the key".into());
    }
    words.join(", ") + "."
}

fn versions(verb: &str, span: Span, message: &Message) -> String {
    match span {
        Span { low, high } if low == high => format!("{verb} version {low}"),
        Span { low, high } if high >= message.versions.high => format!("{verb} version {low} and later"),
        Span { low, high } => format!("{verb} versions {low} to {high}"),
    }
}

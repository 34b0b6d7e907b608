//! The fewest bytes that a struct takes in each version: what a count of elements is checked against.

use crate::model::{Field, Message, Struct, Type};
use crate::source::Source;

/// Writes `least_size`.
pub(crate) fn function(out: &mut Source, message: &Message, structure: &Struct) {
    let mut runs: Vec<(i16, usize)> = Vec::new();
    for version in structure.span.low..=structure.span.high {
        let size = least(message, structure, version);
        match runs.last_mut() {
            Some((last, least)) if *least == size => *last = version,
            _ => runs.push((version, size)),
        }
    }
    let last = runs.pop().map_or(1, |(_, size)| size);
    out.line("#[inline]");
    out.line(format!("fn least_size({}version: i16, _: bool) -> usize {{", if runs.is_empty() { "_" } else { "" }));
    if runs.is_empty() {
        out.line(format!("{last}"));
    } else {
        let arms: Vec<String> =
            runs.iter().map(|(end, size)| format!("if version <= {end} {{ {size} }} else ")).collect();
        out.line(format!("{}{{ {last} }}", arms.concat()));
    }
    out.line("}");
}

fn least(message: &Message, structure: &Struct, version: i16) -> usize {
    let flexible = message.flexible.is_some_and(|low| version >= low);
    let fields = structure.fields.iter().filter(|field| is_carried(field, version));
    fields.map(|field| least_of_field(message, field, version, flexible)).sum::<usize>() + usize::from(flexible)
}

/// Whether the field's bytes always stand in that version: it belongs to the version and is not tagged there.
fn is_carried(field: &Field, version: i16) -> bool {
    field.span.contains(version) && !field.tag.is_some_and(|(_, span)| span.contains(version))
}

fn least_of_field(message: &Message, field: &Field, version: i16, flexible: bool) -> usize {
    let compact = flexible && !field.legacy;
    match &field.kind {
        Type::Bool | Type::I8 => 1,
        Type::I16 | Type::U16 => 2,
        Type::I32 | Type::U32 => 4,
        Type::I64 | Type::F64 => 8,
        Type::Uuid => 16,
        Type::String if !compact => 2,
        Type::Bytes | Type::Records | Type::Array(_) if !compact => 4,
        Type::String | Type::Bytes | Type::Records | Type::Array(_) => 1,
        Type::Struct(_) if field.nullable.is_some_and(|span| span.contains(version)) => 1,
        Type::Struct(name) => message.structure(name).map_or(0, |structure| least(message, structure, version)),
    }
}

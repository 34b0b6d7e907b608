//! The borrowed view of each struct and how it is read.

use crate::model::{Field, Message, Struct, Type};
use crate::names;
use crate::rust_type::{self, condition};
use crate::source::Source;
use crate::wire_size;

/// Writes one view, its reading and its conversion to the owned form.
pub(crate) fn structure(out: &mut Source, message: &Message, structure: &Struct) {
    declaration(out, message, structure);
    out.line(format!("impl<'a> Element<'a> for {}View<'a> {{", structure.name));
    default(out, message, structure);
    if message.hot {
        hot(out, structure);
    }
    wire_size::function(out, message, structure);
    read(out, message, structure);
    out.line("}");
    to_message(out, message, structure);
}

fn declaration(out: &mut Source, message: &Message, structure: &Struct) {
    out.line(format!("/// A borrowed [`{}`].", structure.name));
    out.line("#[derive(Clone, Copy, Debug)]");
    out.line(format!("pub struct {}View<'a> {{", structure.name));
    for field in &structure.fields {
        out.line(format!("/// {}", rust_type::field_doc(message, structure, field)));
        out.line(format!("pub {}: {},", names::field(&field.name), rust_type::view(field)));
    }
    out.line("/// The tagged fields as they came, unknown ones included.");
    out.line("pub tagged_fields: TaggedFields<'a>,");
    out.line("}");
}

fn default(out: &mut Source, _message: &Message, structure: &Struct) {
    out.line("const DEFAULT: Self = Self {");
    for field in &structure.fields {
        out.line(format!("{}: {},", names::field(&field.name), rust_type::view_default(field)));
    }
    out.line("tagged_fields: TaggedFields::NONE,");
    out.line("};");
}

/// What lets an array of these structs be walked without walking the array within its first element once more.
fn hot(out: &mut Source, structure: &Struct) {
    out.line("const HOT: bool = true;");
    let is_struct_array = |kind: &Type| matches!(kind, Type::Array(inner) if matches!(**inner, Type::Struct(_)));
    let Some(field) = structure.fields.iter().find(|field| is_struct_array(&field.kind)) else { return };
    let name = names::field(&field.name);
    let array =
        if field.nullable.is_some() { format!("self.{name}.unwrap_or(Array::EMPTY)") } else { format!("self.{name}") };
    out.line("#[inline(always)]");
    out.line(format!("fn first_array_bytes(&self) -> usize {{ {array}.bytes() }}"));
}

fn read(out: &mut Source, message: &Message, structure: &Struct) {
    if message.hot {
        out.line("#[inline(always)]");
    }
    out.line("fn read(from: &mut Reader<'a>) -> Self {");
    let mut tagged = Vec::new();
    for field in &structure.fields {
        let name = names::field(&field.name);
        let always_tagged = field.tag.is_some_and(|(_, span)| span == field.span);
        if field.tag.is_some() {
            tagged.push(field);
        }
        if always_tagged {
            out.line(format!("let mut {name} = {};", rust_type::view_default(field)));
            continue;
        }
        let carried = condition("from", field.span, structure.span);
        let mutable = if field.tag.is_some() { "mut " } else { "" };
        match carried {
            None => out.line(format!("let {mutable}{name} = {};", read_expression(message, field))),
            Some(carried) => out.line(format!(
                "let {mutable}{name} = if {carried} {{ {} }} else {{ {} }};",
                read_expression(message, field),
                rust_type::view_default(field)
            )),
        }
    }
    tags(out, message, structure, &tagged);
    let mut names: Vec<String> = structure.fields.iter().map(|field| names::field(&field.name)).collect();
    names.push("tagged_fields".into());
    out.line(format!("Self {{ {} }}", names.join(", ")));
    out.line("}");
}

fn tags(out: &mut Source, message: &Message, structure: &Struct, tagged: &[&Field]) {
    if !message.is_flexible(structure) {
        out.line("let tagged_fields = TaggedFields::NONE;");
        return;
    }
    if tagged.is_empty() {
        let prefix = if message.hot { "" } else { "call_" };
        out.line(format!("let tagged_fields = from.{prefix}unknown_tags();"));
        return;
    }
    out.line("let tagged_fields = from.tags(|tag, from| {");
    out.line("match tag {");
    for field in tagged {
        let Some((tag, span)) = field.tag else { continue };
        let guard = condition("from", span, structure.span).map_or_else(String::new, |c| format!(" if {c}"));
        out.line(format!("{tag}{guard} => {} = {},", names::field(&field.name), tagged_expression(message, field)));
    }
    out.line("_ => return false,");
    out.line("}");
    out.line("true");
    out.line("});");
}

fn read_expression(message: &Message, field: &Field) -> String {
    if field.legacy && field.kind == Type::String {
        return "from.legacy_nullable_string()".into();
    }
    let kind = rust_type::view_type(&field.kind);
    let read = if message.hot { "read" } else { "call" };
    match field.nullable {
        None => format!("from.{read}::<{kind}>()"),
        Some(nullable) => {
            let may_be_null = condition("from", nullable, field.span).unwrap_or_else(|| "true".into());
            format!("from.{read}_nullable::<{kind}>({may_be_null})")
        }
    }
}

/// How the value of a tagged field is read: null looks otherwise there.
fn tagged_expression(message: &Message, field: &Field) -> String {
    read_expression(message, field).replace("_nullable::", "_nullable_tag::")
}

fn to_message(out: &mut Source, message: &Message, structure: &Struct) {
    let name = &structure.name;
    out.line(format!("impl ToMessage for {name}View<'_> {{"));
    out.line(format!("type Message = {name};"));
    out.line(format!("fn to_message(&self) -> {name} {{"));
    out.line(format!("{name} {{"));
    for field in &structure.fields {
        let name = names::field(&field.name);
        match field.kind {
            Type::Records => out.line(format!("{name}: RecordSet::from(self.{name}),")),
            _ => out.line(format!("{name}: self.{name}.to_message(),")),
        }
    }
    if message.is_flexible(structure) {
        out.line("unknown_tagged_fields: self.tagged_fields.unknown(),");
    }
    out.line("}");
    out.line("}");
    out.line("}");
}

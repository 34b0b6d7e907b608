//! How each owned struct is put on the wire.

use crate::model::{Field, Message, Struct, Type};
use crate::names;
use crate::rust_type::{condition, differs};
use crate::source::Source;

/// Writes the struct's implementation of `Put`.
pub(crate) fn structure(out: &mut Source, message: &Message, structure: &Struct) {
    out.line(format!("impl Put for {} {{", structure.name));
    out.line("fn put<S: Sink>(&self, to: &mut S) -> Result<(), EncodeFault> {");
    for field in &structure.fields {
        if !field.tag.is_some_and(|(_, span)| span == field.span) {
            untagged(out, structure, field);
        } else if !field.ignorable {
            refuse_absent(out, structure, field);
        }
    }
    if message.is_flexible(structure) {
        tags(out, structure);
    }
    out.line("Ok(())");
    out.line("}");
    out.line("}");
}

fn untagged(out: &mut Source, structure: &Struct, field: &Field) {
    let put = put_expression(field);
    match condition("to", field.span, structure.span) {
        None => out.line(put),
        Some(carried) if field.ignorable => out.line(format!("if {carried} {{ {put} }}")),
        Some(carried) => {
            let absent = format!("return Err(EncodeFault::absent(\"{}\", to.version()));", names::camel(&field.name));
            out.line(format!("if {carried} {{ {put} }} else if {} {{ {absent} }}", differs(field)));
        }
    }
}

fn refuse_absent(out: &mut Source, structure: &Struct, field: &Field) {
    if let Some(carried) = condition("to", field.span, structure.span) {
        let absent = format!("return Err(EncodeFault::absent(\"{}\", to.version()));", names::camel(&field.name));
        out.line(format!("if !{carried} && {} {{ {absent} }}", parenthesised(&differs(field))));
    }
}

fn parenthesised(expression: &str) -> String {
    if expression.contains("!=") { format!("({expression})") } else { expression.into() }
}

fn put_expression(field: &Field) -> String {
    let (wire, name) = (names::camel(&field.name), names::field(&field.name));
    let may_be_null = || match field.nullable {
        None => "false".into(),
        Some(nullable) => condition("to", nullable, field.span).unwrap_or_else(|| "true".into()),
    };
    if field.legacy && field.kind == Type::String {
        return format!("to.legacy_nullable_string(\"{wire}\", self.{name}.as_deref())?;");
    }
    match (&field.kind, field.nullable) {
        (Type::Records, _) => format!("to.records(\"{wire}\", &self.{name}, {})?;", may_be_null()),
        (_, None) => format!("to.field(\"{wire}\", &self.{name})?;"),
        (_, Some(_)) => {
            let condition = may_be_null();
            match condition == "true" {
                true => format!("to.nullable(\"{wire}\", &self.{name}, true)?;"),
                false => format!("let may_be_null = {condition}; to.nullable(\"{wire}\", &self.{name}, may_be_null)?;"),
            }
        }
    }
}

fn tags(out: &mut Source, structure: &Struct) {
    let mut tagged: Vec<(&Field, u32, String)> = Vec::new();
    for field in &structure.fields {
        let Some((tag, span)) = field.tag else { continue };
        let present = match condition("to", span, structure.span) {
            None => differs(field),
            Some(carried) => format!("{carried} && {}", parenthesised(&differs(field))),
        };
        tagged.push((field, tag, present));
    }
    tagged.sort_by_key(|(_, tag, _)| *tag);
    if tagged.is_empty() {
        out.line("to.only_unknown_tags(&self.unknown_tagged_fields)?;");
        return;
    }
    out.line("if to.begin_tags(&self.unknown_tagged_fields)? {");
    for (_, tag, present) in &tagged {
        out.line(format!("let has_{tag} = {present};"));
    }
    let known: Vec<String> = tagged.iter().map(|(_, tag, _)| format!("usize::from(has_{tag})")).collect();
    out.line(format!("to.tag_count({} + self.unknown_tagged_fields.len())?;", known.join(" + ")));
    out.line("let mut unknown = self.unknown_tagged_fields.as_slice();");
    for (field, tag, _) in &tagged {
        let (wire, name) = (names::camel(&field.name), names::field(&field.name));
        out.line(format!("to.unknown_tags_below({tag}, &mut unknown)?;"));
        let call = if field.nullable.is_some() { "nullable_tag" } else { "tag" };
        out.line(format!("if has_{tag} {{ to.{call}({tag}, \"{wire}\", &self.{name})?; }}"));
    }
    out.line("to.last_unknown_tags(unknown)?;");
    out.line("}");
}

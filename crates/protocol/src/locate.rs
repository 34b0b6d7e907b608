//! Finds the field that a fault lies in, by reading the message once more along its schema. Only after an error, so
//! that the typed readers need not carry names with them.

use crate::decode_error::{DecodeErrorKind, Fault};
use crate::reader::Reader;
use crate::schema::{FieldSchema, FieldType, MessageSchema, Nullability, StructSchema};
use std::fmt::Write;

/// The way to the field at fault; empty when the schema finds none.
#[cold]
pub(crate) fn path(schema: &MessageSchema, from: Reader<'_>, fault: Fault) -> String {
    let mut walk = Walk { from, path: String::new() };
    walk.structure(schema.structure);
    if walk.from.fault() == Some(fault) { walk.path } else { String::new() }
}

struct Walk<'a> {
    from: Reader<'a>,
    /// Grows by one part with each level; is left as it stands when a fault is found.
    path: String,
}

impl Walk<'_> {
    fn has_failed(&self) -> bool {
        self.from.fault().is_some()
    }

    fn structure(&mut self, schema: &StructSchema) {
        let version = self.from.version();
        for field in schema.fields.iter().filter(|f| f.versions.contains(version) && !f.tagged.contains(version)) {
            self.field(field);
            if self.has_failed() {
                return;
            }
        }
        let outer = self.path.len();
        let mut path = std::mem::take(&mut self.path);
        self.from.tags(|tag, inner| {
            let known = schema.fields.iter().find(|f| f.tagged.contains(version) && f.tag == tag);
            let Some(field) = known else { return false };
            let mut walk = Walk { from: *inner, path: std::mem::take(&mut path) };
            walk.field(field);
            *inner = walk.from;
            path = walk.path;
            true
        });
        self.path = path;
        if self.has_failed() && self.path.len() == outer {
            self.push("taggedFields");
        }
    }

    fn push(&mut self, name: &str) {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
    }

    fn field(&mut self, field: &FieldSchema) {
        let outer = self.path.len();
        self.push(field.name);
        if field.legacy {
            self.from.legacy_nullable_string();
        } else {
            self.value(&field.kind, field.nullability(self.from.version()));
        }
        if !self.has_failed() {
            self.path.truncate(outer);
        }
    }

    fn value(&mut self, kind: &FieldType, nullability: Nullability) {
        let may_be_null = nullability != Nullability::Never;
        let from = &mut self.from;
        match kind {
            FieldType::Bool | FieldType::I8 => _ = from.take_array::<1>(),
            FieldType::I16 | FieldType::U16 => _ = from.take_array::<2>(),
            FieldType::I32 | FieldType::U32 => _ = from.take_array::<4>(),
            FieldType::I64 | FieldType::F64 => _ = from.take_array::<8>(),
            FieldType::Uuid => _ = from.take_array::<16>(),
            FieldType::String => _ = from.read_nullable::<&str>(may_be_null),
            FieldType::Bytes | FieldType::Records => _ = from.read_nullable::<&[u8]>(may_be_null),
            FieldType::Struct(_) if from.is_null_struct(nullability) => {}
            FieldType::Struct(schema) => self.structure(schema),
            FieldType::Array(element) => self.array(element, may_be_null),
        }
    }

    fn array(&mut self, element: &FieldType, may_be_null: bool) {
        let start = self.from.position();
        let least = least_size(element, self.from.version(), self.from.flexible());
        let Some(count) = self.from.array_length(least) else {
            if !may_be_null {
                self.from.fail(DecodeErrorKind::UnexpectedNull, start);
            }
            return;
        };
        let outer = self.path.len();
        for index in 0..count {
            // Writing to a string does not fail.
            let _ = write!(self.path, "[{index}]");
            self.value(element, Nullability::Never);
            if self.has_failed() {
                return;
            }
            self.path.truncate(outer);
        }
    }
}

/// The fewest bytes that a value of that type takes.
pub(crate) fn least_size(kind: &FieldType, version: i16, flexible: bool) -> usize {
    match kind {
        FieldType::Bool | FieldType::I8 => 1,
        FieldType::I16 | FieldType::U16 => 2,
        FieldType::I32 | FieldType::U32 => 4,
        FieldType::I64 | FieldType::F64 => 8,
        FieldType::Uuid => 16,
        FieldType::String if !flexible => 2,
        FieldType::Bytes | FieldType::Records | FieldType::Array(_) if !flexible => 4,
        FieldType::String | FieldType::Bytes | FieldType::Records | FieldType::Array(_) => 1,
        FieldType::Struct(schema) => {
            let always = |f: &&FieldSchema| f.versions.contains(version) && !f.tagged.contains(version);
            let fields = schema.fields.iter().filter(always);
            let size = |f: &FieldSchema| match f.kind {
                FieldType::Struct(_) if f.nullable.contains(version) => 1,
                _ => least_size(&f.kind, version, flexible && !f.legacy),
            };
            fields.map(size).sum::<usize>() + usize::from(flexible)
        }
    }
}

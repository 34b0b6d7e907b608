//! Finds the field that a fault lies in, by reading the message once more along its schema. Only after an error, so
//! that the typed readers need not carry names with them.

use crate::decode_error::Fault;
use crate::reader::Reader;
use crate::schema::{FieldSchema, FieldType, MessageSchema, Nullability, StructSchema};
use std::fmt::Write;

/// The way to the field at fault; empty when the schema finds none.
#[cold]
pub(crate) fn path(schema: &MessageSchema, from: Reader<'_>, fault: Fault) -> String {
    let mut walk = Walk { from, path: String::new() };
    match walk.structure(schema.structure) {
        Err(found) if found == fault => walk.path,
        _ => String::new(),
    }
}

struct Walk<'a> {
    from: Reader<'a>,
    /// Grows by one part with each level; is left as it stands when a fault is found.
    path: String,
}

impl Walk<'_> {
    fn structure(&mut self, schema: &StructSchema) -> Result<(), Fault> {
        let version = self.from.version();
        for field in schema.fields.iter().filter(|f| f.versions.contains(version) && !f.tagged.contains(version)) {
            self.field(field)?;
        }
        if !self.from.flexible() {
            return Ok(());
        }
        let outer = self.path.len();
        let mut path = std::mem::take(&mut self.path);
        let mut from = self.from;
        let result = from.tags(|tag, inner| {
            let known = schema.fields.iter().find(|f| f.tagged.contains(version) && f.tag == tag);
            let Some(field) = known else { return Ok(false) };
            let mut walk = Walk { from: *inner, path: std::mem::take(&mut path) };
            let result = walk.field(field);
            *inner = walk.from;
            path = walk.path;
            result.map(|()| true)
        });
        self.from = from;
        self.path = path;
        if result.is_err() && self.path.len() == outer {
            self.push("taggedFields");
        }
        result.map(drop)
    }

    fn push(&mut self, name: &str) {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
    }

    fn field(&mut self, field: &FieldSchema) -> Result<(), Fault> {
        let outer = self.path.len();
        self.push(field.name);
        if field.legacy {
            self.from.legacy_nullable_string()?;
        } else {
            self.value(&field.kind, field.nullability(self.from.version()))?;
        }
        self.path.truncate(outer);
        Ok(())
    }

    fn value(&mut self, kind: &FieldType, nullability: Nullability) -> Result<(), Fault> {
        let may_be_null = nullability != Nullability::Never;
        let from = &mut self.from;
        match kind {
            FieldType::Bool | FieldType::I8 => from.take_array::<1>().map(drop),
            FieldType::I16 | FieldType::U16 => from.take_array::<2>().map(drop),
            FieldType::I32 | FieldType::U32 => from.take_array::<4>().map(drop),
            FieldType::I64 | FieldType::F64 => from.take_array::<8>().map(drop),
            FieldType::Uuid => from.take_array::<16>().map(drop),
            FieldType::String => from.read_nullable::<&str>(may_be_null).map(drop),
            FieldType::Bytes | FieldType::Records => from.read_nullable::<&[u8]>(may_be_null).map(drop),
            FieldType::Struct(schema) => {
                if from.is_null_struct(nullability)? {
                    return Ok(());
                }
                self.structure(schema)
            }
            FieldType::Array(element) => self.array(element, may_be_null),
        }
    }

    fn array(&mut self, element: &FieldType, may_be_null: bool) -> Result<(), Fault> {
        let start = self.from.position();
        let least = least_size(element, self.from.version(), self.from.flexible());
        let count = self.from.array_length(least)?;
        let Some(count) = count else {
            let fault = Fault { kind: crate::DecodeErrorKind::UnexpectedNull, offset: start };
            return if may_be_null { Ok(()) } else { Err(fault) };
        };
        let outer = self.path.len();
        for index in 0..count {
            // Writing to a string does not fail.
            let _ = write!(self.path, "[{index}]");
            self.value(element, Nullability::Never)?;
            self.path.truncate(outer);
        }
        Ok(())
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

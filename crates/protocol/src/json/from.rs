use super::{JsonError, JsonErrorKind as Kind, UNKNOWN_TAGS, base64};
use crate::encode_error::{EncodeErrorKind, EncodeFault};
use crate::put::{Put, Sink};
use crate::record_set::RecordSet;
use crate::schema::{DefaultValue, FieldSchema, FieldType, MessageSchema, Nullability, StructSchema};
use crate::tagged::RawTaggedField;
use crate::writer::Writer;
use bytes::Bytes;
use ottla_types::Uuid;
use serde_json::{Map, Value};

pub(super) fn message(schema: &'static MessageSchema, value: &Value, version: i16) -> Result<Bytes, JsonError> {
    let error = |field, kind| JsonError { message: schema.name, version, field, kind };
    if !schema.versions.contains(version) {
        return Err(error(String::new(), Kind::Encode(EncodeErrorKind::UnsupportedVersion)));
    }
    let mut to = Writer::default();
    to.begin(version, schema.flexible.contains(version));
    match structure(schema.structure, value, &mut to) {
        Ok(()) => Ok(to.into_parts().0.freeze()),
        Err(Wrong { mut path, kind }) => {
            path.reverse();
            Err(error(path.join(".").replace(".[", "["), kind))
        }
    }
}

/// What is wrong, with the way to it, innermost first.
struct Wrong {
    path: Vec<String>,
    kind: Kind,
}

impl Wrong {
    fn expected<T>(what: &'static str) -> Result<T, Self> {
        Err(Self { path: Vec::new(), kind: Kind::Expected(what) })
    }

    fn within(mut self, part: impl Into<String>) -> Self {
        self.path.push(part.into());
        self
    }
}

impl From<Kind> for Wrong {
    fn from(kind: Kind) -> Self {
        Self { path: Vec::new(), kind }
    }
}

impl From<EncodeFault> for Wrong {
    fn from(fault: EncodeFault) -> Self {
        Kind::Encode(fault.of("", 0).kind).into()
    }
}

fn structure(schema: &StructSchema, value: &Value, to: &mut Writer) -> Result<(), Wrong> {
    let Value::Object(members) = value else { return Wrong::expected("an object") };
    let version = to.version();
    for name in members.keys() {
        let is_field = schema.fields.iter().any(|f| f.name == name && f.versions.contains(version));
        let is_known = is_field || (name == UNKNOWN_TAGS && to.flexible());
        if !is_known {
            return Err(Wrong::from(Kind::UnknownField).within(name));
        }
    }
    for field in schema.fields.iter().filter(|f| f.versions.contains(version) && !f.tagged.contains(version)) {
        let member = members.get(field.name).ok_or_else(|| Wrong::from(Kind::Missing).within(field.name))?;
        self::field(field, member, to).map_err(|wrong| wrong.within(field.name))?;
    }
    if to.flexible() {
        tags(schema, members, to)?;
    }
    Ok(())
}

fn tags(schema: &StructSchema, members: &Map<String, Value>, to: &mut Writer) -> Result<(), Wrong> {
    let version = to.version();
    let mut fields = unknown_tags(members.get(UNKNOWN_TAGS)).map_err(|wrong| wrong.within(UNKNOWN_TAGS))?;
    for field in schema.fields.iter().filter(|f| f.tagged.contains(version)) {
        let Some(member) = members.get(field.name).filter(|member| !is_default(field, member)) else { continue };
        let mut data = Writer::default();
        data.begin(version, true);
        self::field(field, member, &mut data).map_err(|wrong| wrong.within(field.name))?;
        fields.push(RawTaggedField { tag: field.tag, data: data.into_parts().0.freeze() });
    }
    fields.sort_by_key(|field| field.tag);
    Ok(to.only_unknown_tags(&fields)?)
}

fn unknown_tags(value: Option<&Value>) -> Result<Vec<RawTaggedField>, Wrong> {
    let list = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Wrong::expected("a list of tags with their bytes"),
    };
    let field = |entry: &Value| {
        let tag = u32::try_from(entry.get(0)?.as_u64()?).ok()?;
        Some(RawTaggedField { tag, data: base64::decode(entry.get(1)?.as_str()?)?.into() })
    };
    let fields: Option<Vec<_>> = list.iter().map(field).collect();
    fields.map_or_else(|| Wrong::expected("a list of tags with their bytes"), Ok)
}

/// Whether the member shows the field's default; a tagged field is left out then.
fn is_default(field: &FieldSchema, member: &Value) -> bool {
    match (field.default, &field.kind, member) {
        (DefaultValue::Null, _, _) | (_, FieldType::Records, _) => member.is_null(),
        (DefaultValue::Number(number), FieldType::Bool, _) => member.as_bool() == Some(number == 1),
        (DefaultValue::Number(number), FieldType::F64, _) => member.as_f64() == Some(number as f64),
        (DefaultValue::Number(number), _, _) => member.as_i64() == Some(number),
        (_, FieldType::Uuid, Value::String(text)) => text.parse() == Ok(Uuid::ZERO),
        (_, FieldType::Struct(schema), Value::Object(members)) => {
            schema.fields.iter().all(|f| members.get(f.name).is_none_or(|member| is_default(f, member)))
                && members.get(UNKNOWN_TAGS).is_none()
        }
        (_, _, Value::String(text)) => text.is_empty(),
        (_, _, Value::Array(list)) => list.is_empty(),
        (_, _, Value::Bool(value)) => !value,
        (_, FieldType::F64, Value::Number(number)) => number.as_f64().is_some_and(|n| n == 0.0 && n.is_sign_positive()),
        (_, _, Value::Number(number)) => number.as_i64() == Some(0),
        _ => false,
    }
}

fn field(field: &FieldSchema, member: &Value, to: &mut Writer) -> Result<(), Wrong> {
    let nullability = field.nullability(to.version());
    if member.is_null() && nullability == Nullability::Never {
        return Wrong::expected("a value, not null,");
    }
    match (field.legacy, member) {
        (false, _) => value(&field.kind, member, nullability, to),
        (true, Value::Null) => Ok(to.legacy_nullable_string(field.name, None)?),
        (true, Value::String(text)) => Ok(to.legacy_nullable_string(field.name, Some(text))?),
        (true, _) => Wrong::expected("a string"),
    }
}

fn value(kind: &FieldType, value: &Value, nullability: Nullability, to: &mut Writer) -> Result<(), Wrong> {
    match kind {
        FieldType::Bool => match value {
            Value::Bool(value) => Ok(value.put(to)?),
            _ => Wrong::expected("true or false"),
        },
        FieldType::I8 => number::<i8>(value, to),
        FieldType::I16 => number::<i16>(value, to),
        FieldType::U16 => number::<u16>(value, to),
        FieldType::I32 => number::<i32>(value, to),
        FieldType::U32 => number::<u32>(value, to),
        FieldType::I64 => number::<i64>(value, to),
        FieldType::F64 => match float(value) {
            Some(number) => Ok(number.put(to)?),
            None => Wrong::expected("a number"),
        },
        FieldType::Uuid => match value.as_str().and_then(|text| text.parse::<Uuid>().ok()) {
            Some(id) => Ok(id.put(to)?),
            None => Wrong::expected("an id of 22 characters"),
        },
        FieldType::String => match value {
            Value::Null => Ok(String::put_nullable(None, to)?),
            Value::String(text) => Ok(text.put(to)?),
            _ => Wrong::expected("a string"),
        },
        FieldType::Bytes | FieldType::Records => bytes(value, to),
        FieldType::Struct(schema) => {
            match (nullability, value) {
                (Nullability::Plain, Value::Null) => to.bytes(&[0xff]),
                (Nullability::Tagged, Value::Null) => to.bytes(&[0]),
                (Nullability::Plain | Nullability::Tagged, _) => to.bytes(&[1]),
                (Nullability::Never, _) => {}
            }
            if value.is_null() { Ok(()) } else { structure(schema, value, to) }
        }
        FieldType::Array(element) => array(element, value, to),
    }
}

fn number<T: Put + TryFrom<i64>>(value: &Value, to: &mut Writer) -> Result<(), Wrong> {
    match value.as_i64().and_then(|number| T::try_from(number).ok()) {
        Some(number) => Ok(number.put(to)?),
        None => Wrong::expected("a whole number in the field's range"),
    }
}

fn float(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

fn bytes(value: &Value, to: &mut Writer) -> Result<(), Wrong> {
    let records = match value {
        Value::Null => RecordSet::Null,
        Value::String(text) => match base64::decode(text) {
            Some(bytes) => Bytes::from(bytes).into(),
            None => return Wrong::expected("base64"),
        },
        _ => return Wrong::expected("base64"),
    };
    Ok(to.records("", &records, true)?)
}

fn array(element: &FieldType, value: &Value, to: &mut Writer) -> Result<(), Wrong> {
    let list = match value {
        Value::Null => return Ok(to.length(None)?),
        Value::Array(list) => list,
        _ => return Wrong::expected("a list"),
    };
    to.length(Some(list.len()))?;
    for (index, member) in list.iter().enumerate() {
        if member.is_null() {
            return Wrong::expected("a value, not null,").map_err(|wrong| wrong.within(format!("[{index}]")));
        }
        self::value(element, member, Nullability::Never, to).map_err(|wrong| wrong.within(format!("[{index}]")))?;
    }
    Ok(())
}

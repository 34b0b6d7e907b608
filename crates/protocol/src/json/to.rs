use super::{UNKNOWN_TAGS, base64};
use crate::decode_error::DecodeErrorKind;
use crate::locate::least_size;
use crate::reader::Reader;
use crate::schema::{FieldSchema, FieldType, Nullability, StructSchema};
use ottla_types::Uuid;
use serde_json::{Map, Value};

/// Shows a struct. A fault sticks to the reader; what is returned then means nothing.
pub(super) fn structure(schema: &StructSchema, from: &mut Reader<'_>) -> Value {
    let version = from.version();
    let mut members = Map::new();
    for field in schema.fields.iter().filter(|f| f.versions.contains(version) && !f.tagged.contains(version)) {
        members.insert(field.name.to_owned(), self::field(field, from));
    }
    let tags = from.tags(|tag, inner| {
        let Some(field) = schema.fields.iter().find(|f| f.tagged.contains(version) && f.tag == tag) else {
            return false;
        };
        members.insert(field.name.to_owned(), self::field(field, inner));
        true
    });
    // The fields stand in the schema's order, the tagged ones among the others, as in Kafka's own JSON.
    let mut members: Map<String, Value> =
        schema.fields.iter().filter_map(|field| members.swap_remove_entry(field.name)).collect();
    let unknown: Vec<Value> = tags
        .iter_unknown()
        .map(|(tag, data)| Value::from(vec![Value::from(tag), base64::encode(data).into()]))
        .collect();
    if !unknown.is_empty() {
        members.insert(UNKNOWN_TAGS.to_owned(), unknown.into());
    }
    Value::Object(members)
}

fn field(field: &FieldSchema, from: &mut Reader<'_>) -> Value {
    if field.legacy {
        return from.legacy_nullable_string().map_or(Value::Null, Value::from);
    }
    value(&field.kind, field.nullability(from.version()), from)
}

fn value(kind: &FieldType, nullability: Nullability, from: &mut Reader<'_>) -> Value {
    let may_be_null = nullability != Nullability::Never;
    match kind {
        FieldType::Bool => from.read::<bool>().into(),
        FieldType::I8 => from.read::<i8>().into(),
        FieldType::I16 => from.read::<i16>().into(),
        FieldType::U16 => from.read::<u16>().into(),
        FieldType::I32 => from.read::<i32>().into(),
        FieldType::U32 => from.read::<u32>().into(),
        FieldType::I64 => from.read::<i64>().into(),
        FieldType::F64 => float(from.read::<f64>()),
        FieldType::Uuid => from.read::<Uuid>().to_string().into(),
        FieldType::String => from.read_nullable::<&str>(may_be_null).map_or(Value::Null, Value::from),
        FieldType::Bytes | FieldType::Records => {
            from.read_nullable::<&[u8]>(may_be_null).map_or(Value::Null, |bytes| base64::encode(bytes).into())
        }
        FieldType::Struct(_) if from.is_null_struct(nullability) => Value::Null,
        FieldType::Struct(schema) => structure(schema, from),
        FieldType::Array(element) => array(element, may_be_null, from),
    }
}

/// JSON has no number for these three.
fn float(number: f64) -> Value {
    match number {
        number if number.is_nan() => "NaN".into(),
        number if number.is_infinite() && number > 0.0 => "Infinity".into(),
        number if number.is_infinite() => "-Infinity".into(),
        number => number.into(),
    }
}

fn array(element: &FieldType, may_be_null: bool, from: &mut Reader<'_>) -> Value {
    let start = from.position();
    let least = least_size(element, from.version(), from.flexible());
    let Some(count) = from.array_length(least) else {
        if !may_be_null {
            from.fail(DecodeErrorKind::UnexpectedNull, start);
        }
        return Value::Null;
    };
    let mut list = Vec::new();
    while list.len() < count && from.fault().is_none() {
        list.push(value(element, Nullability::Never, from));
    }
    list.into()
}

#[cfg(test)]
mod tests {
    use crate::Message;
    use crate::json::to_json;
    use crate::transaction_records::TransactionLogValue;

    #[test]
    fn tagged_fields_stand_where_the_schema_has_them() {
        let value =
            TransactionLogValue { previous_producer_id: 7, client_transaction_version: 2, ..Default::default() };
        let bytes = value.to_bytes(1).unwrap();
        let json = to_json(TransactionLogValue::SCHEMA, &bytes, 1).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names[..3], ["producerId", "previousProducerId", "producerEpoch"]);
        assert_eq!(names.last(), Some(&"clientTransactionVersion"));
    }
}

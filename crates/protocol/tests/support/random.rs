//! Random messages, made along the schema as JSON.

use ottla_protocol::schema::{DefaultValue, FieldSchema, FieldType, MessageSchema, StructSchema};
use serde_json::{Map, Value};

/// A small generator of random numbers; the same seed gives the same messages.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    /// Any of the values.
    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }
}

/// How the values of one message are chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Every value its default.
    Defaults,
    /// Numbers at the ends of their ranges, the longest strings, nulls where they may be.
    Edges,
    /// Anything.
    Any,
}

pub fn message(schema: &MessageSchema, version: i16, manner: Manner, random: &mut Random) -> Value {
    let flexible = schema.flexible.contains(version);
    Maker { version, flexible, manner, random }.structure(schema.structure, 0)
}

struct Maker<'a> {
    version: i16,
    flexible: bool,
    manner: Manner,
    random: &'a mut Random,
}

impl Maker<'_> {
    fn structure(&mut self, schema: &StructSchema, depth: usize) -> Value {
        let mut members = Map::new();
        let version = self.version;
        for field in schema.fields.iter().filter(|f| f.versions.contains(version)) {
            let tagged = field.tagged.contains(version);
            if tagged && (self.manner == Manner::Defaults || self.random.below(3) == 0) {
                continue;
            }
            let value = self.field(field, depth);
            members.insert(field.name.to_owned(), value);
        }
        if self.flexible && self.manner != Manner::Defaults && self.random.below(4) == 0 {
            let mut tag = schema.fields.iter().map(|f| f.tag + 1).max().unwrap_or(0);
            let mut unknown = Vec::new();
            for _ in 0..=self.random.below(2) {
                tag += self.random.one_of(&[0, 1, 200, 70_000]);
                let data = self.bytes();
                unknown.push(Value::from(vec![Value::from(tag), data]));
                tag += 1;
            }
            members.insert("_taggedFields".to_owned(), unknown.into());
        }
        Value::Object(members)
    }

    fn field(&mut self, field: &FieldSchema, depth: usize) -> Value {
        let may_be_null = field.nullable.contains(self.version);
        match (self.manner, field.default) {
            (Manner::Defaults, DefaultValue::Null) if may_be_null => return Value::Null,
            (Manner::Defaults, DefaultValue::Number(number)) if matches!(field.kind, FieldType::Bool) => {
                return (number == 1).into();
            }
            (Manner::Defaults, DefaultValue::Number(number)) => return number.into(),
            (Manner::Edges, _) if may_be_null && self.random.below(2) == 0 => return Value::Null,
            (Manner::Any, _) if may_be_null && self.random.below(5) == 0 => return Value::Null,
            _ => {}
        }
        self.value(&field.kind, depth)
    }

    fn value(&mut self, kind: &FieldType, depth: usize) -> Value {
        match kind {
            FieldType::Bool => self.number(&[0, 1]).as_i64().map(|n| n & 1 == 1).into(),
            FieldType::I8 => self.number(&[i8::MIN.into(), i8::MAX.into()]),
            FieldType::I16 => self.number(&[i16::MIN.into(), i16::MAX.into()]),
            FieldType::U16 => self.number(&[0, u16::MAX.into()]),
            FieldType::I32 => self.number(&[i32::MIN.into(), i32::MAX.into()]),
            FieldType::U32 => self.number(&[0, u32::MAX.into()]),
            FieldType::I64 => self.number(&[i64::MIN, i64::MAX]),
            FieldType::F64 => match self.manner {
                Manner::Defaults => 0.0.into(),
                _ => self.random.one_of(&[0.0, -0.0, 1.25, f64::MAX, f64::MIN, f64::MIN_POSITIVE, -7e-300]).into(),
            },
            FieldType::Uuid if self.manner == Manner::Defaults => ottla_types::Uuid::ZERO.to_string().into(),
            FieldType::Uuid => {
                let high = u128::from(self.random.next());
                ottla_types::Uuid::from_u128(high << 64 | u128::from(self.random.next())).to_string().into()
            }
            FieldType::String => self.string().into(),
            FieldType::Bytes | FieldType::Records => self.bytes(),
            FieldType::Struct(schema) => self.structure(schema, depth + 1),
            FieldType::Array(element) => {
                let count = self.count(element, depth);
                (0..count).map(|_| self.value(element, depth + 1)).collect::<Vec<_>>().into()
            }
        }
    }

    fn count(&mut self, element: &FieldType, depth: usize) -> u64 {
        match (self.manner, element) {
            (Manner::Defaults, _) => 0,
            (_, FieldType::Struct(_)) if depth > 3 => self.random.below(2),
            (_, FieldType::Struct(_)) => self.random.below(4),
            _ => self.random.one_of(&[0, 1, 2, 3, 126, 127, 128]),
        }
    }

    fn number(&mut self, ends: &[i64; 2]) -> Value {
        let [low, high] = *ends;
        let any = self.random.next() as i64;
        let any = if low <= any && any <= high { any } else { any.rem_euclid(high.saturating_add(1).max(1)) };
        match self.manner {
            Manner::Defaults => 0.into(),
            Manner::Edges => self.random.one_of(&[low, high, 0, 1, if low < 0 { -1 } else { 1 }]).into(),
            Manner::Any => any.into(),
        }
    }

    fn string(&mut self) -> String {
        let lengths: &[u64] = match self.manner {
            Manner::Defaults => return String::new(),
            Manner::Edges if self.random.below(40) == 0 => &[32_767],
            Manner::Edges => &[0, 1, 127, 128],
            Manner::Any => &[0, 1, 2, 5, 17, 126, 300],
        };
        let length = self.random.one_of(lengths) as usize;
        let mut text = String::new();
        while text.len() < length {
            let c = self.random.one_of(&['a', 'Z', '0', '.', '-', '"', '\\', '\n', '\0', 'ä', '€', '🦦']);
            text.push(if text.len() + c.len_utf8() > length { 'x' } else { c });
        }
        text
    }

    fn bytes(&mut self) -> Value {
        let lengths: &[u64] = match self.manner {
            Manner::Defaults => &[0],
            Manner::Edges if self.random.below(10) == 0 => &[16_382, 16_383, 16_384],
            Manner::Edges => &[0, 1, 127, 128],
            Manner::Any => &[0, 1, 3, 20, 126, 200],
        };
        // Base64 of a length that is a multiple of three needs no padding: any text of its digits will do.
        let length = self.random.one_of(lengths) / 3 * 4;
        let mut text: String = (0..length).map(|_| self.random.one_of(&['A', 'z', '0', '+', '/', 'q'])).collect();
        if self.random.below(2) == 0 && self.manner != Manner::Defaults {
            text.push_str("qg==");
        }
        text.into()
    }
}

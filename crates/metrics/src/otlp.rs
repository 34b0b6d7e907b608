//! Metrics as clients push them (KIP-714): OpenTelemetry's `MetricsData` in protobuf, as far as a number can be made of it.
//!
//! The bytes come from anybody. Nothing is copied but what is given out, nothing is sized by a length that was not checked
//! against what is there, and nesting is as deep as the format and no deeper.

/// A number that a client pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// What the number is.
    pub kind: PointKind,
    /// The number.
    pub value: f64,
    /// What the point is of: names and texts.
    pub attributes: Vec<(&'a str, &'a str)>,
}

/// What a pushed number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointKind {
    /// As it is at the moment.
    Gauge,
    /// A sum since the client's start.
    Cumulative,
    /// What came to a sum since the push before.
    Delta,
}

/// Why bytes are no metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpError {
    /// A number or a part ends behind the end of what it is in.
    Truncated,
    /// A number has more bytes than a number can have.
    TooLong,
    /// A field is of a kind that protobuf does not have any more, or never had.
    WireType(u8),
    /// A text is not UTF-8.
    NotText,
    /// More points than are taken.
    TooManyPoints,
}

impl core::fmt::Display for OtlpError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end within a field"),
            Self::TooLong => f.write_str("a number has too many bytes"),
            Self::WireType(kind) => write!(f, "a field is of the unknown kind {kind}"),
            Self::NotText => f.write_str("a text is not UTF-8"),
            Self::TooManyPoints => f.write_str("there are too many points"),
        }
    }
}

impl std::error::Error for OtlpError {}

/// A field's value.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, OtlpError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| OtlpError::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Number(u32::from_le_bytes(self.fixed()?).into()),
            kind => return Err(OtlpError::WireType(kind as u8)),
        };
        Ok(Some((tag >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, OtlpError> {
        let mut number = 0;
        for index in 0..10 {
            let [byte] = self.fixed()?;
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(OtlpError::TooLong)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], OtlpError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(OtlpError::Truncated)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], OtlpError> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(OtlpError::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// Calls `each` with every field of a message.
fn walk<'a>(message: &'a [u8], mut each: impl FnMut(u64, Value<'a>) -> Result<(), OtlpError>) -> Result<(), OtlpError> {
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        each(number, value)?;
    }
    Ok(())
}

/// The same for the messages within a message that stand in one field.
fn walk_parts<'a>(
    message: &'a [u8],
    field: u64,
    mut each: impl FnMut(&'a [u8]) -> Result<(), OtlpError>,
) -> Result<(), OtlpError> {
    walk(message, |number, value| match value.bytes() {
        Some(bytes) if number == field => each(bytes),
        _ => Ok(()),
    })
}

/// All points of a `MetricsData` that are single numbers, at most `points_max`. Histograms are passed over.
///
/// # Errors
/// The bytes are something else.
pub fn points(data: &[u8], points_max: usize) -> Result<Vec<Point<'_>>, OtlpError> {
    let mut points = Vec::new();
    walk_parts(data, 1, |resource| {
        walk_parts(resource, 2, |scope| walk_parts(scope, 2, |metric| read_metric(metric, points_max, &mut points)))
    })?;
    Ok(points)
}

fn read_metric<'a>(metric: &'a [u8], points_max: usize, points: &mut Vec<Point<'a>>) -> Result<(), OtlpError> {
    let (mut name, mut gauge, mut sum) = ("", None, None);
    walk(metric, |number, value| {
        match (number, value) {
            (1, Value::Bytes(bytes)) => name = text(bytes)?,
            (5, Value::Bytes(bytes)) => gauge = Some(bytes),
            (7, Value::Bytes(bytes)) => sum = Some(bytes),
            _ => {}
        }
        Ok(())
    })?;
    let (Some(body), kind) = (match (gauge, sum) {
        (Some(gauge), _) => (Some(gauge), PointKind::Gauge),
        (None, Some(sum)) => (Some(sum), sum_kind(sum)?),
        (None, None) => (None, PointKind::Gauge),
    }) else {
        return Ok(());
    };
    walk_parts(body, 1, |point| {
        if points.len() >= points_max {
            return Err(OtlpError::TooManyPoints);
        }
        let (value, attributes) = read_point(point)?;
        points.push(Point { name, kind, value, attributes });
        Ok(())
    })
}

fn sum_kind(sum: &[u8]) -> Result<PointKind, OtlpError> {
    let (mut temporality, mut is_monotonic) = (0, 0);
    walk(sum, |number, value| {
        match (number, value) {
            (2, Value::Number(number)) => temporality = number,
            (3, Value::Number(number)) => is_monotonic = number,
            _ => {}
        }
        Ok(())
    })?;
    Ok(match (temporality, is_monotonic) {
        (1, _) => PointKind::Delta,
        (_, 0) => PointKind::Gauge,
        _ => PointKind::Cumulative,
    })
}

type Attributes<'a> = Vec<(&'a str, &'a str)>;

fn read_point(point: &[u8]) -> Result<(f64, Attributes<'_>), OtlpError> {
    let (mut value, mut attributes) = (0.0, Vec::new());
    walk(point, |number, field| {
        match (number, field) {
            (4, Value::Number(bits)) => value = f64::from_bits(bits),
            (6, Value::Number(bits)) => value = bits.cast_signed() as f64,
            (7, Value::Bytes(bytes)) => attributes.extend(read_attribute(bytes)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok((value, attributes))
}

/// The name and the text; `None` for values that are no texts.
fn read_attribute(bytes: &[u8]) -> Result<Option<(&str, &str)>, OtlpError> {
    let (mut key, mut value) = ("", None);
    walk(bytes, |number, field| {
        match (number, field) {
            (1, Value::Bytes(bytes)) => key = text(bytes)?,
            (2, Value::Bytes(any)) => walk_parts(any, 1, |bytes| {
                value = Some(text(bytes)?);
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(value.map(|value| (key, value)))
}

fn text(bytes: &[u8]) -> Result<&str, OtlpError> {
    core::str::from_utf8(bytes).map_err(|_| OtlpError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes.
    fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            field.push(length as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        field.extend_from_slice(bytes);
        field
    }

    fn number(field: u8, bits: u64) -> Vec<u8> {
        let mut bytes = vec![field << 3 | 1];
        bytes.extend(bits.to_le_bytes());
        bytes
    }

    fn data(metrics: &[Vec<u8>]) -> Vec<u8> {
        let metrics: Vec<u8> = metrics.iter().flat_map(|metric| part(2, metric)).collect();
        part(1, &part(2, &metrics))
    }

    fn sample() -> Vec<u8> {
        let attribute = [part(1, b"topic"), part(2, &part(1, b"t"))].concat();
        let gauge =
            [part(1, b"a.gauge"), part(5, &part(1, &[number(4, 1.5f64.to_bits()), part(7, &attribute)].concat()))];
        let sum =
            |temporality, monotonic| [part(1, &number(6, 7)), vec![2 << 3, temporality, 3 << 3, monotonic]].concat();
        let delta = [part(1, b"a.delta"), part(7, &sum(1, 1))];
        let total = [part(1, b"a.total"), part(7, &sum(2, 1))];
        let histogram = [part(1, b"a.histogram"), part(9, &part(1, b""))];
        data(&[gauge.concat(), delta.concat(), total.concat(), histogram.concat()])
    }

    #[test]
    fn gauges_and_sums_are_read_with_their_attributes() {
        let bytes = sample();
        let points = points(&bytes, 10).unwrap();
        let facts: Vec<_> = points.iter().map(|point| (point.name, point.kind, point.value)).collect();
        let expected = [
            ("a.gauge", PointKind::Gauge, 1.5),
            ("a.delta", PointKind::Delta, 7.0),
            ("a.total", PointKind::Cumulative, 7.0),
        ];
        assert_eq!(facts, expected);
        assert_eq!(points[0].attributes, [("topic", "t")]);
    }

    #[test]
    fn every_truncation_is_an_error_or_a_smaller_answer_and_none_panics() {
        let bytes = sample();
        for length in 1..bytes.len() {
            assert_eq!(points(&bytes[..length], 10), Err(OtlpError::Truncated), "{length}");
        }
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut broken = bytes.clone();
                broken[position] ^= 1 << bit;
                let _ = points(&broken, 10);
            }
        }
    }

    #[test]
    fn lengths_that_lie_and_numbers_without_end_are_refused() {
        assert_eq!(points(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], 10), Err(OtlpError::Truncated));
        assert_eq!(points(&[0xff; 11], 10), Err(OtlpError::TooLong));
        assert_eq!(points(&[0x0b], 10), Err(OtlpError::WireType(3)));
        assert_eq!(points(&sample(), 2), Err(OtlpError::TooManyPoints));
        let not_text = data(&[part(1, b"\xff")]);
        assert_eq!(points(&not_text, 10), Err(OtlpError::NotText));
    }
}

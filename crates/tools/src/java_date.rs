//! Dates in the patterns of Java's `SimpleDateFormat`, in UTC and in English.

use crate::java::date_time;
use std::iter::Peekable;
use std::str::Chars;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A pattern that was understood.
#[derive(Clone, Debug)]
pub(crate) struct DateFormat(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Field(Field, usize),
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Era,
    Year,
    Month,
    DayOfMonth,
    DayOfYear,
    DayOfWeek,
    DayName,
    Half,
    Hour,
    HourFromOne,
    HalfHour,
    HalfHourFromOne,
    Minute,
    Second,
    Millisecond,
    ZoneName,
    ZoneOffset,
    ZoneIso,
}

impl Field {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'G' => Self::Era,
            'y' => Self::Year,
            'M' | 'L' => Self::Month,
            'd' => Self::DayOfMonth,
            'D' => Self::DayOfYear,
            'u' => Self::DayOfWeek,
            'E' => Self::DayName,
            'a' => Self::Half,
            'H' => Self::Hour,
            'k' => Self::HourFromOne,
            'K' => Self::HalfHour,
            'h' => Self::HalfHourFromOne,
            'm' => Self::Minute,
            's' => Self::Second,
            'S' => Self::Millisecond,
            'z' => Self::ZoneName,
            'Z' => Self::ZoneOffset,
            'X' => Self::ZoneIso,
            _ => return None,
        })
    }
}

impl DateFormat {
    /// Reads a pattern. The weeks of a year and of a month are not known.
    ///
    /// # Errors
    /// A letter stands for nothing, or a quotation has no end: what Java says of it.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut letters = pattern.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter == '\'' {
                parts.push(Part::Text(quoted(&mut letters)?));
            } else if letter.is_ascii_alphabetic() {
                let mut count = 1;
                while letters.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                let field = Field::of(letter).ok_or_else(|| format!("Illegal pattern character '{letter}'"))?;
                parts.push(Part::Field(field, count));
            } else {
                parts.push(Part::Text(letter.to_string()));
            }
        }
        Ok(Self(parts))
    }

    /// The time, in milliseconds since the epoch.
    pub(crate) fn format(&self, milliseconds: i64) -> String {
        self.0.iter().fold(String::new(), |text, part| {
            text + &match part {
                Part::Text(text) => text.clone(),
                Part::Field(field, count) => shown(*field, *count, milliseconds),
            }
        })
    }
}

/// The text up to the closing quote; a quote that stands twice is one.
fn quoted(letters: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    if letters.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        if letter != '\'' {
            text.push(letter);
        } else if letters.next_if_eq(&'\'').is_some() {
            text.push('\'');
        } else {
            return Ok(text);
        }
    }
    Err("Unterminated quote".to_owned())
}

fn shown(field: Field, count: usize, milliseconds: i64) -> String {
    let (year, month, day, time) = date_time(milliseconds);
    let days = milliseconds.div_euclid(86_400_000);
    let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
    // The first day of the epoch was a Thursday.
    let day_of_week = (days + 3).rem_euclid(7);
    let name = |names: &[&str], index: i64| {
        let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
        if count >= 4 { name.to_owned() } else { name.chars().take(3).collect() }
    };
    let number = match field {
        Field::Era => return "AD".to_owned(),
        Field::Year if count == 2 => return format!("{:02}", year.rem_euclid(100)),
        Field::Month if count >= 3 => return name(&MONTHS, month - 1),
        Field::DayName => return name(&DAYS, day_of_week),
        Field::Half => return if hour < 12 { "AM" } else { "PM" }.to_owned(),
        Field::ZoneName => return if count >= 4 { "Coordinated Universal Time" } else { "UTC" }.to_owned(),
        Field::ZoneOffset => return "+0000".to_owned(),
        Field::ZoneIso => return "Z".to_owned(),
        Field::Year => year,
        Field::Month => month,
        Field::DayOfMonth => day,
        Field::DayOfYear => days - days_of_year_before(year, milliseconds) + 1,
        Field::DayOfWeek => day_of_week + 1,
        Field::Hour => hour,
        Field::HourFromOne => (hour + 23) % 24 + 1,
        Field::HalfHour => hour % 12,
        Field::HalfHourFromOne => (hour + 11) % 12 + 1,
        Field::Minute => minute,
        Field::Second => time / 1_000 % 60,
        Field::Millisecond => time % 1_000,
    };
    format!("{number:0count$}")
}

/// The first day of the year, in days since the epoch, found from a time within it.
fn days_of_year_before(year: i64, milliseconds: i64) -> i64 {
    let mut day = milliseconds.div_euclid(86_400_000);
    while date_time((day - 1) * 86_400_000).0 == year {
        day -= 1;
    }
    day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(pattern: &str) -> String {
        DateFormat::new(pattern).unwrap().format(1_795_971_734_081)
    }

    #[test]
    fn patterns_are_those_of_java() {
        // As Java 17's SimpleDateFormat answers.
        assert_eq!(formatted("yyyy-MM-dd HH:mm:ss:SSS"), "2026-11-29 17:02:14:081");
        assert_eq!(formatted("yyyy.MM.dd'T'HH:mm:ss.SSSZ EEE"), "2026.11.29T17:02:14.081+0000 Sun");
        assert_eq!(
            formatted("yy M/d h:m a, 'o''clock' '' DDD MMM MMMM EEEE X u k K S"),
            "26 11/29 5:2 PM, o'clock ' 333 Nov November Sunday Z 7 17 5 81"
        );
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        assert_eq!(DateFormat::new("bad").unwrap_err(), "Illegal pattern character 'b'");
        assert_eq!(DateFormat::new("yyyy'").unwrap_err(), "Unterminated quote");
    }
}

//! Times and durations as Java reads them.

const DAY_MS: i64 = 86_400_000;

/// The milliseconds since the epoch of `YYYY-MM-DDThh:mm:ss.sss`, with `Z`, `+hh`, `+hhmm` or `+hh:mm` behind it or without
/// any, which means UTC.
pub(super) fn date_time(text: &str) -> Result<i64, String> {
    let Some((date, time)) = text.split_once('T') else {
        return Err("Error parsing timestamp. It does not contain a 'T' according to ISO8601 format".to_owned());
    };
    if time.is_empty() {
        return Err("Error parsing timestamp. Time part after 'T' is null or empty".to_owned());
    }
    parse(date, time).ok_or_else(|| format!("Unparseable date: \"{text}\""))
}

fn parse(date: &str, time: &str) -> Option<i64> {
    let [year, month, day] = numbers(date, '-')?;
    let zone_at = time.find(['+', '-', 'Z']).unwrap_or(time.len());
    let (time, zone) = time.split_at_checked(zone_at)?;
    let (clock, fraction) = time.split_once('.')?;
    let [hours, minutes, seconds] = numbers(clock, ':')?;
    let milliseconds: i64 = fraction.parse().ok()?;
    let of_day = ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds;
    Some(days(year, month, day) * DAY_MS + of_day - zone_ms(zone)?)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let parts: Vec<i64> = text
        .split(separator)
        .map(|part| part.parse().ok().filter(|n| (0..=9999).contains(n)))
        .collect::<Option<_>>()?;
    parts.try_into().ok()
}

fn zone_ms(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone.get(1..)?.chars().filter(|character| *character != ':').collect();
    let number: i64 = digits.parse().ok()?;
    let (hours, minutes) = match digits.len() {
        1 | 2 => (number, 0),
        4 => (number / 100, number % 100),
        _ => return None,
    };
    Some(sign * (hours * 60 + minutes) * 60_000)
}

/// The days since the epoch of a date of the proleptic Gregorian calendar; a month or day too many counts on, as in Java.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let months = year * 12 + month - 1;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    // The year begins in March, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year + day - 1 - 719_468
}

/// The milliseconds of a duration in ISO 8601's form: `PnDTnHnMn.nS`, each number with a sign or without.
pub(super) fn duration_ms(text: &str) -> Result<i64, String> {
    parse_duration(text).ok_or_else(|| "Text cannot be parsed to a Duration".to_owned())
}

fn parse_duration(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let (sign, rest) = match upper.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, upper.strip_prefix('+').unwrap_or(&upper)),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = match days {
        "" => 0.0,
        days => days.strip_suffix('D')?.parse::<i64>().ok()? as f64 * DAY_MS as f64,
    };
    total += time_ms(time)?;
    Some((f64::from(sign) * total) as i64)
}

fn time_ms(time: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = time;
    for (unit, factor) in [('H', 3_600_000.0), ('M', 60_000.0), ('S', 1_000.0)] {
        if let Some((number, after)) = rest.split_once(unit) {
            let value: f64 = if unit == 'S' { number.parse().ok()? } else { number.parse::<i64>().ok()? as f64 };
            total += value * factor;
            rest = after;
        }
    }
    rest.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_utc() {
        assert_eq!(date_time("1970-01-01T00:00:00.000"), Ok(0));
        assert_eq!(date_time("2020-01-01T00:00:00.000"), Ok(1_577_836_800_000));
        assert_eq!(date_time("2020-02-29T12:30:15.250Z"), Ok(1_582_979_415_250));
        assert_eq!(date_time("2020-01-01T00:00:00.000+01:00"), Ok(1_577_833_200_000));
        assert_eq!(date_time("2020-01-01T00:00:00.000-0530"), Ok(1_577_856_600_000));
        assert_eq!(date_time("2020-01-01T00:00:00.000+01"), Ok(1_577_833_200_000));
    }

    #[test]
    fn what_is_no_time_is_refused_in_javas_words() {
        let without_t = "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format";
        assert_eq!(date_time("yesterday"), Err(without_t.to_owned()));
        assert_eq!(
            date_time("2020-01-01T"),
            Err("Error parsing timestamp. Time part after 'T' is null or empty".to_owned())
        );
        assert_eq!(date_time("2020-01-01T00:00"), Err("Unparseable date: \"2020-01-01T00:00\"".to_owned()));
    }

    #[test]
    fn durations_have_days_hours_minutes_and_seconds() {
        for (text, milliseconds) in [
            ("PT0S", 0),
            ("PT1H", 3_600_000),
            ("P1D", 86_400_000),
            ("P1DT2H3M4.5S", 93_784_500),
            ("-PT1M", -60_000),
            ("PT-1M", -60_000),
            ("pt1s", 1_000),
        ] {
            assert_eq!(duration_ms(text), Ok(milliseconds), "{text}");
        }
        for text in ["tomorrow", "P", "PT", "P1H", "PT1X", "1D", ""] {
            assert_eq!(duration_ms(text), Err("Text cannot be parsed to a Duration".to_owned()), "{text}");
        }
    }
}

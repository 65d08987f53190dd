//! How windows are written: `Mon-Fri 09:00-16:00 Europe/Berlin`, and closed days: `2026-12-20..2027-01-03`.

use jiff::{
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};
use tagboat_model::shown;

use super::window::{Closed, DAY, Window, WindowError};

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// No name of a time zone is longer.
const LONGEST_ZONE: usize = 64;

/// Read a window.
pub(super) fn window(written: &str) -> Result<Window, WindowError> {
    let fail = |what: String| WindowError {
        message: format!(
            "`{}` is not a window: {what}; write it as `Mon-Fri 09:00-16:00 Europe/Berlin`, without days for every day, without times for all day",
            shown(written)
        ),
    };
    let joined = written.replace(", ", ",");
    let words: Vec<&str> = joined.split_whitespace().collect();
    let (zone_name, words) = match words.split_last() {
        Some((last, before)) if !is_of_times(last) && days(last).is_err() => (*last, before),
        _ => return Err(fail("there is no time zone at its end".to_owned())),
    };
    let (day_words, time_words) = match words {
        [] => (None, None),
        [only] if is_of_times(only) => (None, Some(*only)),
        [only] => (Some(*only), None),
        [first, second] => (Some(*first), Some(*second)),
        _ => return Err(fail("there is more than days, times and a time zone".to_owned())),
    };
    let zone = zone(zone_name).map_err(fail)?;
    let days = day_words.map_or(Ok([true; 7]), days).map_err(fail)?;
    let (from, to) = time_words.map_or(Ok((0, DAY)), times).map_err(fail)?;
    Ok(Window { written: written.trim().to_owned(), days, from, to, zone })
}

/// Read closed days, which are in `first_zone` where they do not say otherwise.
pub(super) fn closed(written: &str, first_zone: Option<&TimeZone>) -> Result<Closed, WindowError> {
    let fail = |what: String| WindowError {
        message: format!(
            "`{}` does not say closed days: {what}; write it as `2026-12-24` or `2026-12-20..2027-01-03`, with a time zone behind it where there is no window",
            shown(written)
        ),
    };
    let words: Vec<&str> = written.split_whitespace().collect();
    let (dates, zone) = match (words.as_slice(), first_zone) {
        ([dates, name], _) => (*dates, zone(name).map_err(fail)?),
        ([dates], Some(zone)) => (*dates, zone.clone()),
        ([_], None) => return Err(fail("there is no window, so there is no time zone".to_owned())),
        _ => return Err(fail("it is not one date or two with `..` between them".to_owned())),
    };
    let (first, last) = dates.split_once("..").unwrap_or((dates, dates));
    let (first, last) = (date(first).map_err(fail)?, date(last).map_err(fail)?);
    if last < first {
        return Err(fail("it ends before it begins".to_owned()));
    }
    Ok(Closed { written: written.trim().to_owned(), first, last, zone })
}

/// Whether a word is meant to say times of day: names of days and time zones do not begin with digits.
fn is_of_times(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

fn days(written: &str) -> Result<[bool; 7], String> {
    let mut days = [false; 7];
    for part in written.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (weekday(first)?, weekday(last)?);
        let length = (last + 7 - first) % 7;
        for (day, is_meant) in days.iter_mut().enumerate() {
            *is_meant |= (day + 7 - first) % 7 <= length;
        }
    }
    Ok(days)
}

/// From 0, which is Monday.
fn weekday(written: &str) -> Result<usize, String> {
    let lower = written.to_ascii_lowercase();
    let found = WEEKDAYS.iter().position(|day| *day == lower || day.get(..3) == Some(lower.as_str()));
    found.ok_or_else(|| format!("`{}` is no day", shown(written)))
}

fn times(written: &str) -> Result<(u16, u16), String> {
    let Some((from, to)) = written.split_once('-') else {
        return Err(format!("`{}` is not two times with `-` between them", shown(written)));
    };
    let (from_minutes, to_minutes) = (time(from)?, time(to)?);
    if from_minutes == DAY {
        return Err("`24:00` is no time to begin".to_owned());
    }
    if from_minutes == to_minutes {
        return Err("it begins and ends at the same time".to_owned());
    }
    let past_midnight = if to_minutes < from_minutes { DAY } else { 0 };
    Ok((from_minutes, to_minutes + past_midnight))
}

/// In minutes since midnight.
fn time(written: &str) -> Result<u16, String> {
    let fail = || format!("`{}` is no time of day", shown(written));
    let (hour, minute) = written.split_once(':').ok_or_else(fail)?;
    let number = |digits: &str| {
        let good = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| good).ok_or_else(fail)
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let minutes = hour * 60 + minute;
    if minute < 60 && minutes <= DAY { Ok(minutes) } else { Err(fail()) }
}

fn date(written: &str) -> Result<Date, String> {
    let read: Option<Date> = written.parse().ok();
    read.filter(|_| written.len() == "2026-12-24".len()).ok_or_else(|| format!("`{}` is no date", shown(written)))
}

fn zone(name: &str) -> Result<TimeZone, String> {
    let found = TimeZoneDatabase::bundled().get(name).ok();
    // jiff also knows a zone that stands for none.
    found.filter(|zone| zone.iana_name().is_some()).ok_or_else(|| {
        let instead = nearest(name).map(|nearest| format!(", did you mean `{nearest}`?")).unwrap_or_default();
        format!("`{}` is no time zone that is known{instead}", shown(name))
    })
}

/// The time zone that may have been meant: one is often called by its city alone.
fn nearest(name: &str) -> Option<String> {
    if name.len() > LONGEST_ZONE {
        return None;
    }
    let wanted = name.to_lowercase();
    let distance = |known: &str| {
        let known = known.to_lowercase();
        let city = known.rsplit('/').next().unwrap_or_default();
        strsim::damerau_levenshtein(&wanted, &known).min(strsim::damerau_levenshtein(&wanted, city))
    };
    let database = TimeZoneDatabase::bundled();
    let known = database.available().map(|zone| zone.as_str().to_owned());
    let (distance, nearest) = known.map(|known| (distance(&known), known)).min()?;
    (distance <= wanted.len() / 4).then_some(nearest)
}

//! When promotions may happen: weekdays, times of day, time zones, days on which nothing happens.
//!
//! Time zones are compiled in, so that a decision depends on nothing of the machine. How windows are written is in
//! `written`. Where clocks are put forward, what would begin or end in the hour that is left out does so at the end of it;
//! where they are put back, the first of the two hours counts.

use std::fmt;

use jiff::{
    civil::Date,
    tz::{AmbiguousOffset, TimeZone},
};
use serde::{Deserialize, Serialize};
use tagboat_model::{Duration, Timestamp};

use super::written::{closed, window};

/// Minutes of a day on the clock.
pub(super) const DAY: u16 = 24 * 60;
/// What changes within a week is found at once; nothing is looked for beyond some more than a year.
const HORIZONS: [u16; 2] = [8, 400];

/// Windows of time, with days on which all of them are closed. Without a window it is always open but on those days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Windows {
    open: Vec<Window>,
    closed: Vec<Closed>,
}

/// The stored form: as written by people.
#[derive(Serialize, Deserialize)]
struct Written {
    /// `Mon-Fri 09:00-16:00 Europe/Berlin`
    #[serde(default)]
    open: Vec<String>,
    /// `2026-12-24` or `2026-12-20..2027-01-03`, in the time zone of the first window; `2026-12-24 Europe/Berlin`
    #[serde(default)]
    closed: Vec<String>,
}

/// Times of day on some weekdays. What goes past midnight belongs to the day on which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) written: String,
    /// From Monday on.
    pub(super) days: [bool; 7],
    /// In minutes since midnight.
    pub(super) from: u16,
    /// In minutes since the midnight before `from`: more than a day's where it goes past midnight.
    pub(super) to: u16,
    pub(super) zone: TimeZone,
}

/// Whole days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) written: String,
    pub(super) first: Date,
    pub(super) last: Date,
    pub(super) zone: TimeZone,
}

/// Why a text is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WindowError {
    /// What is wrong and what to do.
    pub message: String,
}

/// Whether a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowState {
    /// It is, until then; nothing where it does not close within 400 days.
    Open(Option<Timestamp>),
    /// It opens then; nothing where it does not within 400 days.
    Closed(Option<Timestamp>),
}

/// From the first point up to, and without, the second.
type Span = (Timestamp, Timestamp);

impl Windows {
    /// Read windows, and the days on which they are closed.
    ///
    /// A window names weekdays (`Mon`, `Mon-Fri`, `Sat-Mon`, `Mon,Wed-Fri`; none means every day), times of day
    /// (`09:00-16:00`, `22:00-06:00`, `16:00-24:00`; none means all day), and its time zone, which is always written: days
    /// begin somewhere, and a zone that is left out surprises those who are not in it. Closed days are in the zone of the
    /// first window, or in one that is written behind them.
    ///
    /// # Errors
    /// [`WindowError`] with the first mistake and an example.
    pub fn parse(open: &[String], closed_days: &[String]) -> Result<Self, WindowError> {
        let open = open.iter().map(|written| window(written)).collect::<Result<Vec<_>, _>>()?;
        let zone = open.first().map(|window| &window.zone);
        let closed = closed_days.iter().map(|written| closed(written, zone)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { open, closed })
    }

    /// How it stands, and when that changes.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> WindowState {
        let is_open = self.is_open(now);
        let change = HORIZONS.into_iter().find_map(|days| self.next_change(now, is_open, days));
        if is_open { WindowState::Open(change) } else { WindowState::Closed(change) }
    }

    fn is_open(&self, at: Timestamp) -> bool {
        let within = |span: &Span| span.0 <= at && at < span.1;
        let is_closed = self.closed.iter().filter_map(Closed::span).any(|span| within(&span));
        let in_window = || self.open.iter().any(|window| window.spans(at, 0).iter().any(within));
        !is_closed && (self.open.is_empty() || in_window())
    }

    fn next_change(&self, now: Timestamp, is_open: bool, days: u16) -> Option<Timestamp> {
        let last = now.plus(Duration::from_seconds(u64::from(days) * 86_400));
        let opens = self.open.iter().flat_map(|window| window.spans(now, days));
        let spans = opens.chain(self.closed.iter().filter_map(Closed::span));
        let mut borders: Vec<Timestamp> = spans.flat_map(|(from, to)| [from, to]).collect();
        borders.retain(|border| now < *border && *border <= last);
        borders.sort_unstable();
        borders.into_iter().find(|border| self.is_open(*border) != is_open)
    }
}

impl Window {
    /// What is open on the days around a point in time and on so many days behind it.
    fn spans(&self, around: Timestamp, days: u16) -> Vec<Span> {
        let Some(mut date) = date_before(&self.zone, around) else { return Vec::new() };
        let mut spans = Vec::new();
        // The day before the one before: time zones have moved by a whole day.
        for _ in 0..days.saturating_add(4) {
            let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
            if self.days.get(weekday).copied().unwrap_or_default() {
                spans.extend(point(&self.zone, date, self.from).zip(point(&self.zone, date, self.to)));
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        spans
    }
}

impl Closed {
    fn span(&self) -> Option<Span> {
        point(&self.zone, self.first, 0).zip(point(&self.zone, self.last, DAY))
    }
}

/// The day two days before a point in time.
fn date_before(zone: &TimeZone, at: Timestamp) -> Option<Date> {
    let date = zone.to_datetime(jiff::Timestamp::from_millisecond(at.0).ok()?).date();
    date.yesterday().ok()?.yesterday().ok()
}

/// The point in time at which the clocks show so many minutes after a day's midnight.
fn point(zone: &TimeZone, day: Date, minutes: u16) -> Option<Timestamp> {
    let mut date = day;
    for _ in 0..minutes / DAY {
        date = date.tomorrow().ok()?;
    }
    let hour = i8::try_from(minutes % DAY / 60).ok()?;
    let minute = i8::try_from(minutes % 60).ok()?;
    let shown = zone.to_ambiguous_timestamp(date.at(hour, minute, 0, 0));
    let is_left_out = matches!(shown.offset(), AmbiguousOffset::Gap { .. });
    let earlier = shown.earlier().ok()?;
    let point = if is_left_out { zone.following(earlier).next()?.timestamp() } else { earlier };
    Some(Timestamp(point.as_millisecond()))
}

impl TryFrom<Written> for Windows {
    type Error = WindowError;

    fn try_from(written: Written) -> Result<Self, WindowError> {
        Self::parse(&written.open, &written.closed)
    }
}

impl From<Windows> for Written {
    fn from(windows: Windows) -> Self {
        Self {
            open: windows.open.into_iter().map(|window| window.written).collect(),
            closed: windows.closed.into_iter().map(|closed| closed.written).collect(),
        }
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open: Vec<&str> = self.open.iter().map(|window| window.written.as_str()).collect();
        let closed: Vec<&str> = self.closed.iter().map(|closed| closed.written.as_str()).collect();
        f.write_str(if open.is_empty() { "always" } else { "" })?;
        f.write_str(&open.join(" or "))?;
        if closed.is_empty() { Ok(()) } else { write!(f, ", closed {}", closed.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(open: &[&str], closed: &[&str]) -> Result<Windows, WindowError> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Windows::parse(&texts(open), &texts(closed))
    }

    fn state(open: &str, closed: &[&str], now: &str) -> String {
        let open = [open].into_iter().filter(|open| !open.is_empty()).collect::<Vec<_>>();
        let until = |until: Option<Timestamp>| until.map_or("always".to_owned(), |until| until.to_string());
        match windows(&open, closed).unwrap().state(now.parse().unwrap()) {
            WindowState::Open(change) => format!("open {}", until(change)),
            WindowState::Closed(change) => format!("closed {}", until(change)),
        }
    }

    #[test]
    fn a_window_is_open_at_its_times_on_its_days() {
        // The 23rd of November 2026 is a Monday; Berlin is an hour ahead of UTC.
        for (window, now, expected) in [
            ("Mon-Fri 09:00-16:00 Europe/Berlin", "2026-11-23T07:59:59Z", "closed 2026-11-23T08:00:00Z"),
            ("Mon-Fri 09:00-16:00 Europe/Berlin", "2026-11-23T08:00:00Z", "open 2026-11-23T15:00:00Z"),
            ("Mon-Fri 09:00-16:00 Europe/Berlin", "2026-11-23T15:00:00Z", "closed 2026-11-24T08:00:00Z"),
            ("Mon-Fri 09:00-16:00 Europe/Berlin", "2026-11-27T15:00:00Z", "closed 2026-11-30T08:00:00Z"),
            ("sat-mon 09:00-16:00 utc", "2026-11-24T00:00:00Z", "closed 2026-11-28T09:00:00Z"),
            ("Mon,Wed, Fri UTC", "2026-11-23T12:00:00Z", "open 2026-11-24T00:00:00Z"),
            ("Fri-Mon UTC", "2026-11-27T12:00:00Z", "open 2026-12-01T00:00:00Z"),
            ("22:00-06:00 UTC", "2026-11-23T05:59:00Z", "open 2026-11-23T06:00:00Z"),
            ("22:00-06:00 UTC", "2026-11-23T06:00:00Z", "closed 2026-11-23T22:00:00Z"),
            ("Fri 22:00-06:00 UTC", "2026-11-28T03:00:00Z", "open 2026-11-28T06:00:00Z"),
            ("Sat 22:00-06:00 UTC", "2026-11-28T03:00:00Z", "closed 2026-11-28T22:00:00Z"),
            ("Sunday 16:00-24:00 UTC", "2026-11-29T23:59:00Z", "open 2026-11-30T00:00:00Z"),
            ("00:00-24:00 UTC", "2026-11-29T23:59:00Z", "open always"),
            ("Asia/Tokyo", "2026-11-29T23:59:00Z", "open always"),
            ("Mon UTC", "2026-11-24T00:00:00Z", "closed 2026-11-30T00:00:00Z"),
        ] {
            assert_eq!(state(window, &[], now), expected, "{window} at {now}");
        }
        assert_eq!(state("", &[], "2026-11-23T07:59:59Z"), "open always");
    }

    #[test]
    fn closed_days_are_whole_days_where_the_first_window_is() {
        let window = "Mon-Fri 09:00-16:00 Europe/Berlin";
        for (closed, now, expected) in [
            ("2026-11-24", "2026-11-23T16:00:00Z", "closed 2026-11-25T08:00:00Z"),
            ("2026-12-20..2027-01-03", "2026-12-18T15:00:00Z", "closed 2027-01-04T08:00:00Z"),
            ("2026-11-23", "2026-11-23T09:00:00Z", "closed 2026-11-24T08:00:00Z"),
            ("2026-01-01..2030-01-01", "2026-11-23T09:00:00Z", "closed always"),
        ] {
            assert_eq!(state(window, &[closed], now), expected, "closed {closed} at {now}");
        }
        let berlin = ["2026-12-24 Europe/Berlin"];
        assert_eq!(state("", &berlin, "2026-12-24T22:59:00Z"), "closed 2026-12-24T23:00:00Z");
        assert_eq!(state("", &berlin, "2026-12-23T12:00:00Z"), "open 2026-12-23T23:00:00Z");
        assert_eq!(state("", &berlin, "2026-12-24T23:00:00Z"), "open always");
    }

    #[test]
    fn clocks_that_are_put_forward_or_back_move_no_window_by_more_than_they_must() {
        for (window, now, expected) in [
            // Put forward at 01:00 UTC, from 02:00 to 03:00.
            ("09:00-16:00 Europe/Berlin", "2026-03-28T15:30:00Z", "closed 2026-03-29T07:00:00Z"),
            ("02:30-05:00 Europe/Berlin", "2026-03-29T00:59:00Z", "closed 2026-03-29T01:00:00Z"),
            ("01:00-02:30 Europe/Berlin", "2026-03-29T00:30:00Z", "open 2026-03-29T01:00:00Z"),
            ("02:15-02:45 Europe/Berlin", "2026-03-28T12:00:00Z", "closed 2026-03-30T00:15:00Z"),
            // Put back at 01:00 UTC, from 03:00 to 02:00.
            ("09:00-16:00 Europe/Berlin", "2026-10-24T15:30:00Z", "closed 2026-10-25T08:00:00Z"),
            ("02:30-05:00 Europe/Berlin", "2026-10-25T00:00:00Z", "closed 2026-10-25T00:30:00Z"),
            ("02:30-05:00 Europe/Berlin", "2026-10-25T00:30:00Z", "open 2026-10-25T04:00:00Z"),
            ("02:15-02:45 Europe/Berlin", "2026-10-25T00:15:00Z", "open 2026-10-25T00:45:00Z"),
            ("02:15-02:45 Europe/Berlin", "2026-10-25T01:15:00Z", "closed 2026-10-26T01:15:00Z"),
            // Put forward at 07:00 UTC, back at 06:00 UTC.
            ("02:30-05:00 America/New_York", "2026-03-08T06:59:00Z", "closed 2026-03-08T07:00:00Z"),
            ("02:30-05:00 America/New_York", "2026-03-08T07:00:00Z", "open 2026-03-08T09:00:00Z"),
            ("01:30-05:00 America/New_York", "2026-11-01T05:00:00Z", "closed 2026-11-01T05:30:00Z"),
            ("01:30-05:00 America/New_York", "2026-11-01T05:30:00Z", "open 2026-11-01T10:00:00Z"),
            ("Sun America/New_York", "2026-11-01T12:00:00Z", "open 2026-11-02T05:00:00Z"),
        ] {
            assert_eq!(state(window, &[], now), expected, "{window} at {now}");
        }
    }

    #[test]
    fn windows_read_back_as_they_are_stored_and_show_as_they_are_written() {
        let both = windows(&["Mon 10:00-12:00 Europe/Berlin", "Tue UTC"], &["2026-12-24"]).unwrap();
        let stored = serde_json::to_string(&both).unwrap();
        assert_eq!(stored, r#"{"open":["Mon 10:00-12:00 Europe/Berlin","Tue UTC"],"closed":["2026-12-24"]}"#);
        assert_eq!(serde_json::from_str::<Windows>(&stored).unwrap(), both);
        assert!(serde_json::from_str::<Windows>(r#"{"open":["Mo 10:00"]}"#).is_err());
        assert_eq!(both.to_string(), "Mon 10:00-12:00 Europe/Berlin or Tue UTC, closed 2026-12-24");
        assert_eq!(windows(&[], &["2026-12-24 UTC"]).unwrap().to_string(), "always, closed 2026-12-24 UTC");
    }

    #[test]
    fn a_mistake_is_said_with_an_example() {
        for (open, closed, expected) in [
            ("Mon-Fri 09:00-16:00", "", "no time zone"),
            ("Mon-Fri", "", "no time zone"),
            ("", "2026-12-24", "no time zone"),
            ("Mon-Fri 09:00-16:00 Europe/Berln", "", "did you mean `Europe/Berlin`"),
            ("09:00-16:00 Berlin", "", "did you mean `Europe/Berlin`"),
            ("Mo-Fr 09:00-16:00 UTC", "", "`Mo` is no day"),
            ("Mon- 09:00-16:00 UTC", "", "`` is no day"),
            ("Mon 9-16 UTC", "", "`9` is no time"),
            ("Mon 09:00 UTC", "", "two times"),
            ("Mon 24:00-06:00 UTC", "", "`24:00` is no time to begin"),
            ("Mon 09:00-25:00 UTC", "", "`25:00` is no time"),
            ("Mon 09:60-10:00 UTC", "", "`09:60` is no time"),
            ("Mon 09:00-09:00 UTC", "", "begins and ends at the same time"),
            ("Mon 09:00-10:00 11:00-12:00 UTC", "", "more than days, times and a time zone"),
            ("Mon UTC", "24.12.2026", "`24.12.2026` is no date"),
            ("Mon UTC", "2026-12-24..2026-12-20", "ends before it begins"),
            ("Mon UTC", "2026-02-30", "`2026-02-30` is no date"),
        ] {
            let open = [open].into_iter().filter(|open| !open.is_empty()).collect::<Vec<_>>();
            let closed = [closed].into_iter().filter(|closed| !closed.is_empty()).collect::<Vec<_>>();
            let error = windows(&open, &closed).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("write it as `"), "{open:?} {closed:?}: {error}");
        }
        assert!(windows(&["  "], &[]).is_err());
    }
}

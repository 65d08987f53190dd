//! Windows against a clock that is looked at every minute.

#![allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use jiff::{
    civil::DateTime,
    tz::{TimeZone, TimeZoneDatabase},
};
use proptest::prelude::*;
use tagboat_model::Timestamp;
use tagboat_promotion::gate::{WindowState, Windows};

const MINUTE: i64 = 60_000;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Around these clocks are put forward or back in Berlin, New York, on Lord Howe Island (by half an hour), and nowhere.
const AROUND: [&str; 6] = [
    "2026-03-28T12:00:00Z",
    "2026-10-24T12:00:00Z",
    "2026-03-07T12:00:00Z",
    "2026-10-31T12:00:00Z",
    "2026-04-04T06:00:00Z",
    "2026-07-15T12:00:00Z",
];
const ZONES: [&str; 5] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"];

/// What a window is made of: weekdays, from, to in minutes of a day.
#[derive(Debug, Clone)]
struct Made {
    days: Vec<bool>,
    from: u16,
    to: u16,
    zone: &'static str,
}

impl Made {
    fn written(&self) -> String {
        let days: Vec<&str> = DAYS.iter().zip(&self.days).filter(|(_, is_in)| **is_in).map(|(day, _)| *day).collect();
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        format!("{} {}-{} {}", days.join(","), time(self.from), time(self.to), self.zone)
    }

    /// Whether it is open when the clock shows this.
    fn is_open(&self, shown: DateTime) -> bool {
        let minutes = u16::try_from(i32::from(shown.hour()) * 60 + i32::from(shown.minute())).unwrap();
        let today = usize::try_from(shown.date().weekday().to_monday_zero_offset()).unwrap();
        let yesterday = (today + 6) % 7;
        if self.from < self.to {
            return self.days[today] && (self.from..self.to).contains(&minutes);
        }
        (self.days[today] && minutes >= self.from) || (self.days[yesterday] && minutes < self.to)
    }
}

fn shown(zone: &TimeZone, at: i64) -> DateTime {
    zone.to_datetime(jiff::Timestamp::from_millisecond(at).unwrap())
}

fn made() -> impl Strategy<Value = Made> {
    let days = prop::collection::vec(any::<bool>(), 7).prop_filter("a day", |days| days.contains(&true));
    let window = (days, 0_u16..1440, 0_u16..=1440, prop::sample::select(ZONES.to_vec()));
    let window = window.prop_map(|(days, from, to, zone)| Made { days, from, to, zone });
    window.prop_filter("not empty", |made| made.from != made.to)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_window_is_open_when_the_clock_says_so(
        made in made(), around in prop::sample::select(AROUND.to_vec()), minutes in 0_i64..2880
    ) {
        let zone = TimeZoneDatabase::bundled().get(made.zone).unwrap();
        let windows = Windows::parse(&[made.written()], &[]).unwrap();
        let now = around.parse::<Timestamp>().unwrap().0 + minutes * MINUTE;
        let (is_open, until) = match windows.state(Timestamp(now)) {
            WindowState::Open(until) => (true, until),
            WindowState::Closed(until) => (false, until),
        };
        let until = until.map_or(i64::MAX, |until| until.0);
        prop_assert!(until > now);
        // A clock that is put back stands still for those who look at windows, until it shows something new.
        let mut latest = shown(&zone, now - 180 * MINUTE);
        for minute in -180..2000 {
            let at = now + minute * MINUTE;
            latest = latest.max(shown(&zone, at));
            if minute >= 0 && at <= until {
                prop_assert_eq!(made.is_open(latest), is_open == (at < until), "{} at {}", made.written(), Timestamp(at));
            }
        }
    }
}

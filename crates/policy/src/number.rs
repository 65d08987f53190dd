//! Numbers of any length, compared exactly.
//!
//! Whole and decimal numbers as people write them, with an optional minus. What `strconv.ParseFloat` reads beyond
//! that (`1e5`, `0x1F`, `Inf`, `NaN`, `1_000`) is refused: such a tag is a commit hash or a word far more often.

use std::cmp::Ordering;

/// A number, as parts of the text it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number<'t> {
    negative: bool,
    /// Without leading zeros; empty for zero.
    whole: &'t str,
    /// Without trailing zeros.
    fraction: &'t str,
    /// Whether it was written with zeros that say nothing.
    padded: bool,
}

impl<'t> Number<'t> {
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let (minus, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !fraction.is_none_or(digits) {
            return None;
        }
        let kept = whole.trim_start_matches('0');
        let decimals = fraction.unwrap_or_default().trim_end_matches('0');
        let padded = (kept != whole && whole != "0") || decimals.len() != fraction.unwrap_or_default().len();
        // There is no negative zero.
        let negative = minus && !(kept.is_empty() && decimals.is_empty());
        Some(Self { negative, whole: kept, fraction: decimals, padded })
    }

    /// Whether it is written as a number prints: without further zeros.
    pub(crate) fn is_plain(&self) -> bool {
        !self.padded
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = || {
            (self.whole.len().cmp(&other.whole.len()))
                .then_with(|| self.whole.cmp(other.whole))
                .then_with(|| self.fraction.cmp(other.fraction))
        };
        match (self.negative, other.negative) {
            (false, false) => size(),
            (true, true) => size().reverse(),
            (mine, theirs) => theirs.cmp(&mine),
        }
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_compare_exactly() {
        let ascending = [
            "-10",
            "-9.5",
            "-1",
            "0",
            "0.05",
            "0.5",
            "1",
            "1.05",
            "1.5",
            "9",
            "10",
            "9007199254740992",
            "9007199254740993",
            "18446744073709551616",
            "99999999999999999999999999999999999999998",
            "99999999999999999999999999999999999999999",
        ];
        for pair in ascending.windows(2) {
            let [left, right] = [pair[0], pair[1]].map(|text| Number::parse(text).unwrap());
            assert!(left < right, "{pair:?}");
            assert!(right > left, "{pair:?}");
        }
        for (left, right) in [("1", "01"), ("1", "1.0"), ("0", "-0"), ("0", "000.00"), ("1.5", "1.50")] {
            let (left, right) = (Number::parse(left).unwrap(), Number::parse(right).unwrap());
            assert_eq!(left.cmp(&right), Ordering::Equal);
            assert!(left.is_plain(), "{left:?}");
        }
        assert!(!Number::parse("01").unwrap().is_plain() && !Number::parse("1.0").unwrap().is_plain());
    }

    #[test]
    fn what_only_machines_take_for_a_number_is_refused() {
        for text in ["", "-", "1e5", "0x1F", "Inf", "NaN", "1_000", "+5", "1.", ".5", "1.2.3", "--1", "1 ", "\u{0661}"]
        {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}

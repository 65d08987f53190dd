//! Writing a value as a YAML scalar in a given style.

use tagboat_model::ScalarStyle;

/// The bytes of a scalar that reads back as exactly `value`, a string, under YAML 1.1 and 1.2. Values are tags, digests
/// and image names, so no escape is needed.
pub(crate) fn render(value: &str, style: &ScalarStyle) -> String {
    let plain = || if reads_as_other_than_string(value) { format!("\"{value}\"") } else { value.to_owned() };
    match style {
        ScalarStyle::DoubleQuoted => format!("\"{value}\""),
        ScalarStyle::SingleQuoted => format!("'{value}'"),
        ScalarStyle::Plain => plain(),
        ScalarStyle::Text => value.to_owned(),
        ScalarStyle::Absent { before, after } if before.ends_with('"') => format!("{before}{value}{after}"),
        ScalarStyle::Absent { before, after } => format!("{before}{}{after}", plain()),
    }
}

/// Whether a plain scalar would be a number, a date, a truth value or nothing for some YAML reader.
fn reads_as_other_than_string(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    if matches!(lower.as_str(), "" | "~" | "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n") {
        return true;
    }
    let unsigned = lower.trim_start_matches(['+', '-']).replace('_', "");
    let digits_of = |prefix: &str, radix: u32| {
        unsigned.strip_prefix(prefix).is_some_and(|digits| digits.chars().all(|digit| digit.is_digit(radix)))
    };
    let has_digit = unsigned.bytes().any(|b| b.is_ascii_digit());
    (has_digit && unsigned.parse::<f64>().is_ok())
        || digits_of("0x", 16)
        || digits_of("0o", 8)
        || digits_of("0b", 2)
        || matches!(unsigned.as_str(), ".inf" | ".nan")
        || is_date(&lower)
        // `1:20` is eighty to YAML 1.1.
        || (has_digit && unsigned.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.') && unsigned.contains(':'))
}

/// `2024-01-02` and what begins like it and goes on with a time.
fn is_date(value: &str) -> bool {
    let mut parts = value.splitn(3, '-');
    let digits = |part: Option<&str>, most: usize| {
        part.is_some_and(|part| !part.is_empty() && part.len() <= most && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let year = parts.next();
    year.is_some_and(|year| year.len() == 4)
        && digits(year, 4)
        && digits(parts.next(), 2)
        && parts.next().is_some_and(|day| {
            let end = day.bytes().take_while(u8::is_ascii_digit).count();
            (1..=2).contains(&end) && day[end..].bytes().next().is_none_or(|b| matches!(b, b't' | b' '))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_read_back_as_a_string_is_quoted() {
        for value in [
            "1.10",
            "1e5",
            "20240101",
            "yes",
            "0x1F",
            "1_000",
            "0o17",
            "0b1",
            "2024-01-02",
            "null",
            "1.",
            "007",
            "1:20",
            "on",
        ] {
            assert_eq!(render(value, &ScalarStyle::Plain), format!("\"{value}\""), "{value}");
        }
        for value in
            ["1.2.3", "v1.10", "main", "1.5.0-rc.1", "0xyz", "2024.01.02", "a:1", "1e5f", "2024-01", "sha256:12ab"]
        {
            assert_eq!(render(value, &ScalarStyle::Plain), value, "{value}");
        }
    }
}

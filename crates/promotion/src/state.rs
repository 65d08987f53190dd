//! Holds as bytes of a file in Git, so that losing the database does not bring back what people took back.
//!
//! Does not read or write refs. JSON with `version: 1`, sorted, one line per value, so that people can read it and see what
//! changed. Fields that are not known are passed over; a newer version is refused.

use serde::{Deserialize, Serialize};
use tagboat_model::{Hold, Wish};
use thiserror::Error;

use crate::Seal;

/// Raised whenever an older Tagboat would misread what is written.
const FORMAT: u32 = 1;

/// Why bytes are no holds.
#[derive(Debug, Error)]
pub enum StateError {
    /// They are not JSON of the expected shape.
    #[error("the holds in Git could not be read")]
    Malformed(#[source] serde_json::Error),
    /// They were written by a newer Tagboat.
    #[error("the holds in Git have format version {found}; this Tagboat reads up to {known}")]
    Version {
        /// The version found.
        found: u32,
        /// The newest version that is known.
        known: u32,
    },
}

#[derive(Serialize)]
struct Written<'h> {
    version: u32,
    seal: String,
    holds: Vec<&'h Hold>,
}

#[derive(Deserialize)]
struct Envelope {
    version: u32,
    #[serde(default)]
    seal: String,
    #[serde(default)]
    holds: Vec<serde_json::Value>,
}

const PURPOSE: &str = "holds";

/// The bytes, the same for the same holds in any order; it ends with a line end.
#[must_use]
pub fn encode(holds: &[Hold], seal: &Seal) -> Vec<u8> {
    let mut holds: Vec<&Hold> = holds.iter().collect();
    holds.sort_by(|left, right| (left.since, &left.id).cmp(&(right.since, &right.id)));
    // Nothing in a hold is beyond JSON; bytes that are not there would be refused when they are read.
    let seal = seal.on(PURPOSE, &serde_json::to_vec(&holds).unwrap_or_default());
    let mut bytes = serde_json::to_vec_pretty(&Written { version: FORMAT, seal, holds }).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Read the bytes back. Of what does not bear the seal, only wishes that hold back are believed: whoever may write the ref
/// cannot bring anything anywhere by it. What cannot be read is left out, and counted.
///
/// # Errors
/// [`StateError`] when all of it is damaged, or of a newer format.
pub fn decode(bytes: &[u8], seal: &Seal) -> Result<(Vec<Hold>, usize), StateError> {
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(StateError::Malformed)?;
    if envelope.version != FORMAT {
        return Err(StateError::Version { found: envelope.version, known: FORMAT });
    }
    let all = envelope.holds.len();
    let read = envelope.holds.into_iter().filter_map(|hold| serde_json::from_value::<Hold>(hold).ok());
    let mut holds: Vec<Hold> = read.collect();
    let text = serde_json::to_vec(&holds).unwrap_or_default();
    if !seal.is_on(PURPOSE, &text, &envelope.seal) {
        holds.retain(|hold| !matches!(hold.wish, Wish::Keep { .. } | Wish::Promote { .. }));
    }
    let left_out = all - holds.len();
    Ok((holds, left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        Seal::of(b"secret", "acme/config")
    }

    fn holds() -> Vec<Hold> {
        let json = r#"[
            {"id":"h-2","environment":"prod","entry":"web","wish":"refuse","version":{"tag":"1.5.0","digest":"sha256:D"},
             "pullRequest":7,"by":{"name":"alice","account":"42"},"since":2,"until":{"time":9},"later":"field"},
            {"id":"h-1","wish":"freeze","by":{"name":"bob"},"why":"holidays","since":1}
        ]"#;
        serde_json::from_str(&json.replace("sha256:D", &format!("sha256:{}", "d".repeat(64)))).unwrap()
    }

    /// One hold for each kind of wish.
    fn one_of_each() -> Vec<Hold> {
        let version = holds()[0].wish.version().unwrap().clone();
        let wishes = [
            Wish::Hold,
            Wish::Freeze,
            Wish::Keep { version: version.clone() },
            Wish::Promote { version: version.clone() },
            Wish::Skip { version: version.clone() },
            Wish::Refuse { version, pull_request: 7 },
        ];
        let hold = |wish: Wish| Hold { id: format!("h-{}", wish.word()).parse().unwrap(), wish, ..holds()[1].clone() };
        wishes.into_iter().map(hold).collect()
    }

    #[test]
    fn holds_read_back_as_they_were_written_whatever_their_order() {
        let holds = holds();
        let bytes = encode(&holds, &seal());
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(
            text.starts_with("{\n  \"version\": 1,\n") && text.ends_with("}\n") && !text.ends_with("\n\n"),
            "{text}"
        );
        let (read, left_out) = decode(&bytes, &seal()).unwrap();
        assert_eq!(read.iter().map(|hold| hold.id.as_str()).collect::<Vec<_>>(), ["h-1", "h-2"]);
        assert_eq!((encode(&read, &seal()), left_out), (bytes.clone(), 0));
        let turned: Vec<Hold> = holds.into_iter().rev().collect();
        assert_eq!((encode(&turned, &seal()), &read), (bytes, &turned));
        let (none, left_out) = decode(&encode(&[], &seal()), &seal()).unwrap();
        assert!(none.is_empty() && left_out == 0);
    }

    #[test]
    fn what_bears_no_seal_can_hold_back_and_bring_nothing() {
        let written = encode(&one_of_each(), &seal());
        let (all, left_out) = decode(&written, &seal()).unwrap();
        assert_eq!((all.len(), left_out), (6, 0));
        let text = String::from_utf8(written.clone()).unwrap();
        let unsealed = text.replacen("\"seal\": \"", "\"seal\": \"0", 1);
        let edited = text.replacen("holidays", "vacation", 1);
        let other = String::from_utf8(encode(&one_of_each(), &Seal::of(b"other", "acme/config"))).unwrap();
        for text in [unsealed, edited, other] {
            assert_ne!(text.as_bytes(), written);
            let (read, left_out) = decode(text.as_bytes(), &seal()).unwrap();
            let mut words: Vec<&str> = read.iter().map(|hold| hold.wish.word()).collect();
            words.sort_unstable();
            assert_eq!((words, left_out), (vec!["freeze", "hold", "refuse", "skip"], 2));
        }
    }

    #[test]
    fn damaged_entries_are_left_out_and_counted() {
        let text = String::from_utf8(encode(&holds(), &seal())).unwrap();
        let damaged = text.replacen("\"holds\": [", "\"holds\": [{\"id\": \"h\"}, 7,", 1);
        assert_ne!(damaged, text);
        let (read, left_out) = decode(damaged.as_bytes(), &seal()).unwrap();
        assert_eq!((read.len(), left_out), (2, 2));
    }

    #[test]
    fn what_is_not_known_is_passed_over_or_refused_where_it_could_mean_something_else() {
        let text = String::from_utf8(encode(&holds(), &seal())).unwrap();
        let more = text.replacen("\"version\": 1", "\"version\": 1, \"more\": {}", 1);
        assert_eq!(decode(more.as_bytes(), &seal()).unwrap().0.len(), 2);
        let newer = text.replacen("\"version\": 1", "\"version\": 2", 1);
        let error = decode(newer.as_bytes(), &seal()).unwrap_err().to_string();
        assert_eq!(error, "the holds in Git have format version 2; this Tagboat reads up to 1");
        for bad in ["", "\n", "{}", "[]", r#"{"version":"1"}"#, r#"{"version":1,"holds":7}"#] {
            assert!(decode(bad.as_bytes(), &seal()).is_err(), "{bad:?}");
        }
    }
}

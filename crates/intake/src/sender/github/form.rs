//! Bodies as HTML forms, GitHub's other content type: `application/x-www-form-urlencoded`, with the JSON in the field
//! `payload`. The signature is over the form, so it was verified before this.

use std::borrow::Cow;

use crate::{Headers, read::Unreadable};

/// The JSON of a body, of whichever content type it is.
pub(crate) fn json<'b>(headers: &Headers, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Unreadable> {
    if !is_form(headers) {
        return Ok(Cow::Borrowed(body));
    }
    let field = body.split(|byte| *byte == b'&').find_map(|field| field.strip_prefix(b"payload="));
    let field = field.ok_or_else(|| Unreadable("the form has no field `payload`".to_owned()))?;
    let decoded = decoded(field).ok_or_else(|| Unreadable("the form has a `%` without two digits".to_owned()))?;
    Ok(Cow::Owned(decoded))
}

fn is_form(headers: &Headers) -> bool {
    let content_type = headers.get("content-type").unwrap_or_default();
    let plain = content_type.split(';').next().unwrap_or_default().trim();
    plain.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn decoded(field: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(field.len());
    let mut rest = field.iter().copied();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => escaped(rest.next()?, rest.next()?)?,
            plain => plain,
        });
    }
    Some(decoded)
}

/// The byte that two hexadecimal digits name.
fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &str) -> Result<String, String> {
        let headers: Headers = [("Content-Type", content_type)].into_iter().collect();
        let json = json(&headers, body.as_bytes()).map_err(|Unreadable(why)| why)?;
        Ok(String::from_utf8(json.into_owned()).unwrap())
    }

    #[test]
    fn the_json_stands_in_a_field_of_the_form() {
        for body in
            ["payload=%7B%22a%22%3A+%22%c3%A4%2B%22%7D", "x=1&payload=%7B%22a%22%3A+%22%C3%a4%2B%22%7D&payload=2"]
        {
            for content_type in
                ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded ; charset=utf-8"]
            {
                assert_eq!(read(content_type, body).as_deref(), Ok(r#"{"a": "ä+"}"#));
            }
        }
    }

    #[test]
    fn any_other_content_type_is_left_as_it_is() {
        assert_eq!(read("application/json", r#"{"a":"%41+"}"#).as_deref(), Ok(r#"{"a":"%41+"}"#));
        assert_eq!(json(&Headers::default(), b"%41").unwrap().into_owned(), b"%41");
    }

    #[test]
    fn a_broken_form_is_unreadable() {
        for body in ["", "payload", "a=payload=", "payload=%", "payload=%4", "payload=%zz", "payload=%+1"] {
            assert!(read("application/x-www-form-urlencoded", body).is_err(), "{body}");
        }
    }
}

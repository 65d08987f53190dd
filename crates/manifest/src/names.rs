//! Texts that may be image names, tags, digests, or stand for one.

use tagboat_model::{Digest, ImageName, Tag, Uneditable};

use crate::{collector::WrittenVersion, yaml::template::MASK};

/// Keys called `image` hold pictures too.
pub(crate) fn is_picture(text: &str) -> bool {
    let ending = text.rsplit('.').next().unwrap_or_default();
    text.contains('.')
        && ["png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "iso", "img", "qcow2", "raw"].contains(&ending)
}

/// Whether a value is for a variable or a template to give.
pub(crate) fn is_placeholder(text: &str) -> bool {
    text.contains(['$', MASK]) || ["{{", "{%", "<", "%("].iter().any(|open| text.contains(open))
}

/// The image that a text names, when a placeholder gives only its version.
pub(crate) fn partly_written(text: &str) -> Option<ImageName> {
    let start =
        text.rfind('/').filter(|slash| !text[..*slash].contains(['$', '{', '<', MASK])).map_or(0, |slash| slash + 1);
    let end = start + text.get(start..)?.find([':', '@'])?;
    let (name, rest) = (text.get(..end)?, text.get(end..)?);
    if is_placeholder(name) || !is_placeholder(rest) {
        return None;
    }
    name.parse().ok()
}

/// That something else gives the version of an image.
pub(crate) fn filled_in(file: &str, line: usize, image: ImageName, text: &str) -> Uneditable {
    let detail = format!("`{text}` is filled in by something else");
    Uneditable { file: file.to_owned(), line, image: Some(image), claimed: false, filled_in: true, detail }
}

/// Read what the keys for tag and digest say. Charts write `""` for "none". The error is a text that is neither.
pub(crate) fn version<'t>(tag: &'t str, digest: &'t str) -> Result<WrittenVersion, &'t str> {
    let given = |text: &'t str| (!text.is_empty()).then_some(text);
    let (tag, joined) = match tag.split_once('@') {
        Some((first, rest)) if digest.is_empty() && rest.parse::<Digest>().is_ok() => (first, Some(rest)),
        _ => (tag, None),
    };
    let parsed_tag = given(tag).map(|text| text.parse::<Tag>().map_err(|_| text)).transpose()?;
    let parsed_digest = joined.or(given(digest)).map(|text| digest_of(text).ok_or(text)).transpose()?;
    Ok(WrittenVersion { tag: parsed_tag, digest: parsed_digest, joined: joined.is_some() })
}

/// A digest, or the hexadecimal digits of one, as some charts want it.
pub(crate) fn digest_of(text: &str) -> Option<Digest> {
    let hexadecimal = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal { format!("sha256:{text}").parse().ok() } else { text.parse().ok() }
}

/// The images that a text which cannot be read names, by the look of its words: with a tag or digest, or as the value of a
/// key for names. A name of one part counts only where the line speaks of an image: `redis:6379` is an address.
pub(crate) fn images_in(text: &str) -> Vec<ImageName> {
    let mut images: Vec<ImageName> = text.lines().flat_map(images_in_line).collect();
    images.sort();
    images.dedup();
    images
}

fn images_in_line(line: &str) -> impl Iterator<Item = ImageName> {
    let speaks_of_images = line.to_ascii_lowercase().contains("image");
    let words = || line.split(|c: char| c.is_whitespace() || "\"'`,;=()[]{}".contains(c));
    let is_name = |word: &&str| word.contains('/') && word.parse::<ImageName>().is_ok();
    let keys = ["repository:", "name:", "newName:", "image:"];
    let by_key = words().zip(words().skip(1)).filter(move |(key, _)| keys.contains(key)).map(|(_, word)| word);
    let bare = by_key.filter(is_name).filter_map(|word| word.parse().ok());
    words()
        .filter(move |word| word.contains([':', '@']) && (word.contains('/') || speaks_of_images))
        .filter_map(|word| word.parse::<tagboat_model::WrittenImage>().ok())
        .filter(|image| image.tag.is_some() || image.digest.is_some())
        .map(|image| image.name)
        .chain(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_after_the_name_leaves_the_name_known() {
        for text in [
            "ghcr.io/acme/web:${TAG}",
            "ghcr.io/acme/web:v{{ .Values.tag }}",
            "ghcr.io/acme/web@$DIGEST",
            "ghcr.io/acme/web:1.4-<flavour>",
        ] {
            assert_eq!(
                partly_written(text).map(|image| image.to_string()).as_deref(),
                Some("ghcr.io/acme/web"),
                "{text}"
            );
        }
        for text in [
            "${REGISTRY}/web:1.4",
            "ghcr.io/acme/$NAME:1.4",
            "ghcr.io/acme/web:1.4",
            "a b:c $d",
            "$X",
            "ghcr.io:5000/${NAME}",
        ] {
            assert_eq!(partly_written(text), None, "{text}");
        }
    }

    #[test]
    fn a_tag_key_may_hold_the_digest_too() {
        let hex = "0".repeat(64);
        let text = format!("1.4.0@sha256:{hex}");
        let written = version(&text, "").unwrap();
        assert_eq!((written.tag.unwrap().as_str(), written.joined), ("1.4.0", true));
        assert_eq!(written.digest.unwrap().as_str(), format!("sha256:{hex}"));
        assert_eq!(version("1.4.0", &hex).unwrap().digest.unwrap().as_str(), format!("sha256:{hex}"));
        assert!(version("${TAG}", "").is_err() && version("", "").unwrap().tag.is_none());
    }
}

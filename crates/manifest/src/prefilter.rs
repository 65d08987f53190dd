//! A cheap look at the bytes of a file that most files do not pass. It is exact in one direction: what it turns away
//! holds no reference.
//!
//! Keys and values may be written with escapes in double quotes (`"im\u0061ge"`), so a file with such escapes passes.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};
use tagboat_model::ImageName;

use crate::{format, marker};

/// Without one of these no format finds anything in YAML or JSON: `image` in all cases and compounds, maps of Helm
/// values, addresses of OCI artifacts.
static WORDS: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| ["mage", "MAGE", "repository", "oci:"].map(Finder::new));
static ESCAPES: LazyLock<[Finder<'static>; 5]> =
    LazyLock::new(|| ["\\x", "\\u", "\\U", "\\\n", "\\\r"].map(Finder::new));

/// Whether a file could hold references at all.
#[must_use]
pub fn may_name_images(path: &str, bytes: &[u8]) -> bool {
    format::is_dockerfile(path)
        || WORDS.iter().any(|word| word.find(bytes).is_some())
        || marker::has_markers(bytes)
        || has_escapes(bytes)
}

/// Whether a file could name `image`. Registry and path may stand in separate keys, so only the end of the path is
/// looked for. In Dockerfiles and Compose files variables and continued lines may put together even that.
#[must_use]
pub fn mentions(path: &str, bytes: &[u8], image: &ImageName) -> bool {
    let repository = image.repository();
    let last = repository.rsplit('/').next().unwrap_or(repository);
    memmem::find(bytes, last.as_bytes()).is_some()
        || has_escapes(bytes)
        || ((format::is_dockerfile(path) || format::is_compose(path))
            && memchr::memchr3(b'$', b'\\', b'`', bytes).is_some())
}

fn has_escapes(bytes: &[u8]) -> bool {
    memchr::memchr(b'\\', bytes).is_some() && ESCAPES.iter().any(|escape| escape.find(bytes).is_some())
}
